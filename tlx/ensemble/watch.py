"""What may watch the compiled calls of `tlx.ensemble` from outside: a journal that keeps lanes, or a rehearsal.

Both are in force within a `with` block, so that no study has to hand them through.
"""

import contextlib
import contextvars
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Journal(Protocol):
    """Keeps the lanes that are done, so that a killed program can go on from there. Calls of `run` count from 0."""

    def resume(self, call: int) -> list[np.ndarray] | None:
        """The leaves of the first lanes of this call of `run`, as kept before; None if there are none."""

    def keep(self, call: int, pieces: list[list[np.ndarray]]) -> None:
        """The leaves of all lanes done so far, one list per compiled call."""


_journal: contextvars.ContextVar[tuple[Journal, Iterator[int]] | None] = contextvars.ContextVar("journal", default=None)
_rehearsed: contextvars.ContextVar[list["Rehearsed"] | None] = contextvars.ContextVar("rehearsed", default=None)


@contextlib.contextmanager
def journal(keeper: Journal) -> Iterator[None]:
    """Within it every `run` keeps its finished lanes in `keeper`, and skips those that `keeper` has already."""
    token = _journal.set((keeper, itertools.count()))
    try:
        yield
    finally:
        _journal.reset(token)


class Rehearsed(NamedTuple):
    """What a `run` would do: its lanes and layout, and the bytes of one compiled call on a device."""

    lanes: int
    layout: Any
    bytes_per_call: int


@contextlib.contextmanager
def rehearsal() -> Iterator[list[Rehearsed]]:
    """Within it `run` compiles and measures, computes nothing and returns zeros; yields what the runs would do."""
    found: list[Rehearsed] = []
    token = _rehearsed.set(found)
    try:
        yield found
    finally:
        _rehearsed.reset(token)


def kept() -> tuple[Journal | None, int]:
    """The journal in force, and the number of this call in it."""
    found = _journal.get()
    return (None, 0) if found is None else (found[0], next(found[1]))


def fitting(leaves: list[np.ndarray] | None, wanted: list[Any]) -> list[np.ndarray] | None:
    """Leaves that a journal kept, if they are what a run computes: as many, of these types and shapes, one length."""
    shapes = [(leaf.shape[1:], leaf.dtype) for leaf in wanted]
    if leaves is None or [(leaf.shape[1:], leaf.dtype) for leaf in leaves if leaf.ndim] != shapes:
        return None
    return leaves if len({len(leaf) for leaf in leaves}) == 1 else None


def rehearsed() -> list[Rehearsed] | None:
    """The list of the rehearsal in force, or None."""
    return _rehearsed.get()
