"""One program over several hosts (opt-in, `distributed.enabled=true`): every process computes its lanes of each unit.

Process 0 alone decides, claims, stores and draws; the others follow, unit by unit, until they are dismissed. They talk
through the store of JAX's coordination service, which process 0 keeps: no message waits for a collective operation, so
that a process that is gone, or ends for any reason, is noticed by the others while they are inside one.
"""

import atexit
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import jax
from jax._src import distributed as _jax_distributed  # the store has no public name

from experiments.running.signals import end
from experiments.running.study import UserError

DISMISSED = -1
LOOK_SECONDS = 0.5
SILENT_SECONDS = 15.0  # without a sign of life a process is gone
LEAVE_SECONDS = 1.5  # a dismissed process has to leave a call that will never end


class HostLost(Exception):
    """Another process of the program is gone or fell out of step; the message names it."""

    code = 1  # of the command


class Link:
    """What one process knows of the others."""

    def __init__(self, client: Any, index: int, count: int) -> None:
        self.client, self.index, self.count = client, index, count
        self.run = self.order = 0
        self.lost = ""  # who is gone, in words
        self.heard = time.monotonic()  # when the store last answered; a process 0 that is stopped never does
        self.ended: int | None = None  # the code with which process 0 dismissed the others
        self.stop_asked: int | None = None  # a signal that another process got
        self.known: dict[int, tuple[str, float]] = {i: ("", time.monotonic()) for i in range(count) if i != index}
        self.apart: tuple[int, float] | None = None  # the order that another process failed in, and since when
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="hosts", daemon=True)
        self.thread.start()

    def key(self, *parts: Any) -> str:
        """A key of this job (a multirun makes several)."""
        return "/".join(map(str, ("tlx", self.run, *parts)))

    def put(self, key: str, value: str) -> None:
        """Tell the others, who may be gone."""
        with contextlib.suppress(RuntimeError):
            self.client.key_value_set(key, value, allow_overwrite=True)

    def found(self, key: str) -> dict[str, str]:
        """What was put below a key, by the rest of the key."""
        return {name.removeprefix(f"{key}/"): value for name, value in self.client.key_value_dir_get(key)}

    def begin(self) -> None:
        """A new job of the same processes."""
        self.run += 1
        self.order, self.ended, self.stop_asked, self.apart = 0, None, None, None

    def _watch(self) -> None:
        beat = 0
        while not self.lost and not self.closed.is_set():
            beat += 1
            try:
                self.put(f"tlx/alive/{self.index}", f"{socket.gethostname()}, process {os.getpid()}|{beat}")
                self._look()
                self.heard = time.monotonic()
            except RuntimeError:  # the coordination service went with process 0
                self.lost = self.lost or f"{self._name(0)} is gone"
            self.closed.wait(LOOK_SECONDS)

    def _look(self) -> None:
        now, alive = time.monotonic(), self.found("tlx/alive")
        for other, (value, since) in self.known.items():
            if alive.get(str(other), "") != value:
                self.known[other] = (alive[str(other)], now)
            elif now - since > SILENT_SECONDS and (self.index == 0 or other == 0):
                self.lost = f"{self._name(other)} gave no sign of life for {now - since:.0f} s"
        told = self.found(self.key("told"))
        if "end" in told and self.ended is None:
            self.ended = int(told["end"])
        if "stop" in told and self.stop_asked is None:
            self.stop_asked = int(told["stop"])
        if self.index == 0:
            self._look_for_errors(now)

    def _look_for_errors(self, now: float) -> None:
        """A process that failed alone leaves the others waiting for it."""
        errors = {i: e for i, e in self.found(self.key("done", self.order)).items() if e}
        if not errors or (self.apart and self.apart[0] != self.order):
            self.apart = None
        elif self.apart is None:
            self.apart = (self.order, now)
        elif now - self.apart[1] > SILENT_SECONDS:
            other, error = next(iter(errors.items()))
            self.lost = f"{self._name(int(other))} failed alone ({error})"

    def _name(self, other: int) -> str:
        place = self.known.get(other, ("", 0.0))[0].partition("|")[0]
        return f"process {other} of {self.count}" + (f" ({place})" if place else "")

    def check(self) -> None:
        """End the work if another process is gone."""
        silence = time.monotonic() - self.heard
        if self.index and silence > SILENT_SECONDS:
            self.lost = self.lost or f"{self._name(0)} gave no sign of life for {silence:.0f} s"
        if self.lost:
            raise HostLost(f"{self.lost}; what is finished is kept, and the same command goes on from there.")

    def leave(self) -> None:
        """At the end of this Python program: the others may be gone, so do not wait for them as JAX would."""
        if self.index == 0 and self.ended is None:
            dismiss(1)
        self.closed.set()
        self.thread.join(2 * LEAVE_SECONDS)  # a thread inside a call into JAX would take the program down with it
        if self.lost or self.ended:
            end(self.ended or 1)


_links: list[Link] = []  # none, or one: the processes of a program stay together


def start(config: Any) -> None:
    """Join the other processes, before JAX makes its first array. Null fields come from the cluster's environment."""
    if not config.enabled:
        return
    if not jax.distributed.is_initialized():
        try:
            jax.distributed.initialize(
                coordinator_address=config.coordinator,
                num_processes=config.num_processes,
                process_id=config.process_id,
                local_device_ids=local_devices(config.local_device_ids),
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"distributed.enabled=true: {' '.join(str(error).split())}") from error
    if jax.process_count() > 1:
        if not _links:
            _links.append(Link(_jax_distributed.global_state.client, jax.process_index(), jax.process_count()))
            atexit.register(_links[0].leave)
        _links[0].begin()


def local_devices(chosen: list[int] | None) -> list[int] | None:
    """This process's accelerators. Under SLURM, JAX would give each process one, whatever its job was given."""
    if chosen is not None:
        return list(chosen)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return list(range(len(visible.split(",")))) if visible else None


def link() -> Link | None:
    """The other processes, if there are any."""
    return _links[0] if _links else None


def follows() -> bool:
    """Whether this process takes its units from process 0."""
    return bool(_links) and _links[0].index != 0


def announce(unit: int) -> None:
    """Process 0: what all compute next, an index into the study's units; DISMISSED is `dismiss(0)`."""
    if unit == DISMISSED:
        dismiss(0)
    elif _links:
        _links[0].order += 1
        _links[0].put(_links[0].key("order", _links[0].order), str(unit))


def dismiss(code: int) -> None:
    """Process 0: the others leave with this exit code, wherever they are; waits shortly until they know."""
    if not _links or _links[0].index != 0 or _links[0].ended is not None:
        return
    own = _links[0]
    own.ended = code
    own.put(own.key("told", "end"), str(code))
    until = time.monotonic() + 2 * LOOK_SECONDS + LEAVE_SECONDS
    while code and not own.lost and time.monotonic() < until:
        with contextlib.suppress(RuntimeError):
            if len(own.found(own.key("left"))) >= own.count - 1:
                return
        time.sleep(0.1)


@contextlib.contextmanager
def dismissing() -> Iterator[None]:
    """Within it process 0 leads; whatever ends it, the others are dismissed."""
    try:
        yield
    except BaseException as error:
        dismiss(getattr(error, "code", None) or 1)
        raise
    dismiss(0)


def announced() -> int:
    """The others: what process 0 announces."""
    own = _links[0]
    own.order += 1
    while own.ended is None:
        own.check()
        with contextlib.suppress(RuntimeError):  # nothing yet
            return int(own.client.blocking_key_value_get(own.key("order", own.order), int(1000 * LOOK_SECONDS)))
    return DISMISSED


def report(error: Exception | None) -> None:
    """The others: how the announced unit went here."""
    own, text = _links[0], "" if error is None else f"{type(error).__name__}: {error}"
    own.put(own.key("done", own.order, own.index), text.splitlines()[0] if text else "")


def agree() -> None:
    """Process 0, after an error of a unit: whether all had it. Raises HostLost if one is gone or had none."""
    own = link()
    if own is None:
        return
    until = time.monotonic() + SILENT_SECONDS + 2 * LOOK_SECONDS
    done: dict[str, str] = {}
    while len(done) < own.count - 1 and time.monotonic() < until:
        own.check()
        time.sleep(0.1)
        done = own.found(own.key("done", own.order))
    for other in range(1, own.count):
        if not done.get(str(other)):
            own.lost = own.lost or f"{own._name(other)} fell out of step"
    own.check()
