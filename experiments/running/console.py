"""What a user sees in the terminal: progress, the closing table, and errors in one message."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from experiments.running.output import Stream

STATUS_NAMES = {-1: "missing", 0: "converged", 1: "max_steps", 2: "diverged", 3: "non_finite"}
PLAIN_SECONDS = 5.0  # between two progress lines where there is no terminal

_stdout, _stderr = Stream("stdout"), Stream("stderr")

WIDTH = None if _stdout.isatty() else 130  # no terminal, no wrapping of tables

_out = Console(highlight=False, width=WIDTH, file=_stdout)


@contextlib.contextmanager
def silent(quiet: bool = True) -> Iterator[None]:
    """Say nothing but errors meanwhile."""
    before, _out.quiet = _out.quiet, quiet or _out.quiet
    try:
        yield
    finally:
        _out.quiet = before


def say(text: str) -> None:
    """One line."""
    _out.print(text, markup=False, soft_wrap=True)


def fail(text: str) -> None:
    """An error, as one message on stderr."""
    _stderr.write(f"error: {text}\n")


def header(study: str, directory: Path, every: Sequence[Any], todo: Sequence[Any]) -> None:
    """What is about to happen."""
    lanes = sum(unit.lanes for unit in todo)
    say(f"{study}: {len(todo)} of {len(every)} units to compute ({lanes} training runs) -> {directory}")


class Progress:
    """A bar with rate and time left on a terminal, plain lines elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.begin = time.perf_counter()
        self.said = self.begin
        self.bar: RichProgress | None = None
        self.task: Any = None

    def __enter__(self) -> "Progress":
        if _stdout.isatty():
            rate = TextColumn("{task.fields[rate]}")
            columns = (TextColumn(self.title), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
            self.bar = RichProgress(*columns, console=_out)
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=None, rate="compiling")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` training runs are finished."""
        now = time.perf_counter()
        rate = done / max(now - self.begin, 1e-9)
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total, rate=f"{rate:.0f} runs/s")
        elif now - self.said > PLAIN_SECONDS:
            self.said = now
            say(f"{self.title}: {done}/{total} runs, {rate:.0f} runs/s, {(total - done) / max(rate, 1e-9):.0f} s left")


def facts(verdict: Any) -> dict[str, Any]:
    """The distance from theory of one method, as numbers."""
    z = np.abs(verdict.z)
    compared = np.isfinite(z)
    if not compared.any():
        return {"cells": 0, "instances": verdict.instances}
    worst = tuple(int(i) for i in np.unravel_index(np.nanargmax(np.where(compared, z, -1.0)), z.shape))
    return {
        "cells": int(compared.sum()),
        "instances": verdict.instances,
        "worst_z": float(verdict.z[worst]),
        "worst_cell": verdict.cell(worst),
        "typical_z": float(np.median(z[compared])),
        "within_3": float(np.mean(z[compared] <= 3)),
        "beyond_5": int(np.sum(z[compared] > 5)),
    }


def count(codes: np.ndarray) -> dict[str, int]:
    """Lanes by status."""
    values, counts = np.unique(codes, return_counts=True)
    return {STATUS_NAMES.get(int(v), str(v)): int(c) for v, c in zip(values, counts, strict=True)}


def closing(verdicts: Sequence[Any], statuses: dict[str, np.ndarray], outcome: Any, notes: str) -> None:
    """The closing table: distance from theory in standard errors, and lanes by status."""
    table = Table(title="distance from theory, in standard errors (se)")
    for column in ("protocol", "cells", "instances", "typical |z|", "within 3 se", "worst z", "worst cell"):
        table.add_column(column, justify="left" if column in ("protocol", "worst cell") else "right")
    for verdict in verdicts:
        f = facts(verdict)
        if f["cells"] == 0:
            table.add_row(verdict.method, "0", str(verdict.instances), "-", "-", "-", "no cell to compare")
            continue
        row = (f"{f['typical_z']:.2f}", f"{100 * f['within_3']:.1f} %", f"{f['worst_z']:+.2f}", f["worst_cell"])
        table.add_row(verdict.method, str(f["cells"]), str(verdict.instances), *row)
    if verdicts:
        _out.print(table)
    lanes = Table(title="training runs by status")
    lanes.add_column("protocol")
    names = [n for n in STATUS_NAMES.values() if any(n in count(codes) for codes in statuses.values())]
    for name in names:
        lanes.add_column(name, justify="right")
    for method, codes in statuses.items():
        lanes.add_row(method, *(str(count(codes).get(name, 0)) for name in names))
    _out.print(lanes)
    if notes:
        say(notes)
    if outcome.lanes:
        say(
            f"{outcome.lanes} training runs in {outcome.seconds:.1f} s ({outcome.lanes / outcome.seconds:.0f} a second)"
        )
