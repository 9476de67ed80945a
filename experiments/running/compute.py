"""Computing what is missing: unit by unit, claimed, checkpointed, stored; a failure ends its unit only."""

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax

from experiments.running import console, files, hosts, signals
from experiments.running import study as studies
from experiments.running.checkpoint import Journal
from experiments.running.claims import BEAT_SECONDS, STALE_SECONDS, Claims, described, holder, machine
from experiments.running.store import StoreError, Units
from experiments.running.study import Study, Unit, UserError
from tlx import ensemble

LONG_CALL_SECONDS = 60.0
WAITING_SAID_SECONDS = 60.0  # between two lines that say whom we wait for
WAIT_SECONDS = 1.0  # between two looks at units that other processes compute


@dataclass
class Outcome:
    """What a call of `compute_missing` did."""

    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    lanes: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # unit name -> place and error in one line


@dataclass
class _Work:
    """Everything the working thread needs."""

    study: Study
    config: Any
    store: Units
    todo: list[Unit]
    report: Callable[[int, int], None]
    stopping: Callable[[str], None]
    starting: Callable[[str], None] | None  # until the first unit begins
    claims: Claims = field(default_factory=Claims)
    outcome: Outcome = field(default_factory=Outcome)
    order: dict[str, int] = field(default_factory=dict)  # a unit's number in the whole study, which all hosts share
    journal: Journal | None = None
    beaten: float = 0.0
    called: float = 0.0
    warned: bool = False

    def beat(self, stop: signals.Stop) -> None:
        """Touch the claims now and then, and hear what other hosts have to say."""
        if time.monotonic() - self.beaten > BEAT_SECONDS:
            self.beaten = time.monotonic()
            self.claims.beat()
        others = hosts.link()
        if others is not None:
            others.check()
            if others.stop_asked is not None and stop.signum is None:
                stop.ask(others.stop_asked)

    def watch_call(self) -> None:
        """Say once that compiled calls are so long that a kill would cost more than it should."""
        now = time.monotonic()
        length, self.called = now - self.called, now
        if length > LONG_CALL_SECONDS and not self.warned:
            self.warned = True
            console.say(
                f"one compiled call took {length:.0f} s, which is what a kill can cost: split the grid into smaller "
                "units (fewer angles a command, ensemble.lanes_together) if that is too much."
            )

    def abandon(self, stop: signals.Stop) -> None:
        """Save what can be saved without the working thread."""
        try:
            if self.journal is not None:
                self.journal.save()
        except (StoreError, ValueError):
            pass  # what was saved before is still there
        self.claims.release_all()
        self.stopping(signals.name(stop.signum or 0))
        hosts.dismiss(128 + (stop.signum or 0))
        console.fail("stopped before the running call had ended; everything saved is kept, run the command again.")


def compute_missing(
    study: Study,
    config: Any,
    store: Units,
    todo: list[Unit],
    report: Callable[[int, int], None],
    every: list[Unit] | None = None,
    *,
    stopping: Callable[[str], None] = lambda name: None,
    starting: Callable[[str], None] | None = None,
) -> Outcome:
    """Compute and store the given units in order; `report(lanes done, lanes in all)` after every compiled call.

    Units that another process computes are left to it and waited for at the end. `stopping` is called with a signal's
    name before the process ends because a compiled call did not, `starting` with the place of the first unit.

    Raises:
        Stopped: a signal asked for it; what is finished is stored, the unit under way is saved.
        StoreError: the directory cannot be written any more.
    """
    order = {unit.name: i for i, unit in enumerate(todo if every is None else every)}
    work = _Work(study, config, store, todo, report, stopping, starting, order=order)
    if not todo:
        return work.outcome
    files.make_directory(store.directory)
    files.sweep(store.directory)
    begin = time.perf_counter()
    try:
        signals.supervised(lambda stop: _all(work, stop), work.beat, work.abandon)
    except signals.Stopped as stopped:
        hosts.dismiss(stopped.code)
        raise
    finally:
        work.claims.release_all()
        work.outcome.seconds = time.perf_counter() - begin
    return work.outcome


def _all(work: _Work, stop: signals.Stop) -> None:
    waiting, said = list(work.todo), time.monotonic() - 0.9 * WAITING_SAID_SECONDS
    while waiting:
        elsewhere = [unit for unit in waiting if not _one(work, unit, stop)]
        if len(elsewhere) == len(waiting):
            if time.monotonic() - said > WAITING_SAID_SECONDS:
                said = time.monotonic()
                _say_waiting(work, waiting)
            _rest(stop)
        waiting = elsewhere


def _say_waiting(work: _Work, waiting: list[Unit]) -> None:
    """Whom we wait for. A process that does not beat for STALE_SECONDS is waited for no longer."""
    owners = {described(found) for unit in waiting if (found := holder(work.store.beside(unit.name, "claim")))}
    console.say(
        f"waiting for {len(waiting)} unit(s) that others compute ({'; '.join(sorted(owners)) or 'being stored'}); "
        f"one that shows no life for {STALE_SECONDS:.0f} s is computed here."
    )


def _rest(stop: signals.Stop) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        stop.check()
        time.sleep(0.05)


def _one(work: _Work, unit: Unit, stop: signals.Stop) -> bool:
    """Compute a unit; False if another process is at it."""
    stop.check()
    claim = work.store.beside(unit.name, "claim")
    if not work.claims.take(claim):
        return False
    try:
        if work.store.receipt(unit.name) is not None:  # finished by another process since we looked
            work.outcome.reused += 1
        else:
            _compute(work, unit, stop)
    except (UserError, StoreError, hosts.HostLost):  # true of every unit: the job ends
        raise
    except Exception as error:
        hosts.agree()
        _note_failure(work, unit, error)
    finally:
        work.claims.release(claim)
    return True


def _compute(work: _Work, unit: Unit, stop: signals.Stop) -> None:
    outcome, total = work.outcome, sum(u.lanes for u in work.todo)
    work.called = time.monotonic()
    start, done = time.perf_counter(), outcome.lanes

    def progress(lanes: int) -> None:
        work.report(done + lanes, total)
        work.watch_call()
        stop.check()

    hosts.announce(work.order[unit.name])
    if work.starting is not None:
        work.starting(studies.where(work.study, work.config, unit))
        work.starting = None
    # over several hosts a unit is all or nothing: what one of them had saved, the others would lack
    seconds = work.config.checkpoint.seconds if jax.process_count() == 1 else None
    work.journal = Journal(work.store.beside(unit.name, "partial"), seconds)
    if work.journal.fault:
        console.say(f"what was saved of unit {unit.name} {work.journal.fault}: set aside")
    try:
        with ensemble.journal(work.journal):
            arrays = work.study.compute(work.config, unit.place, progress)
    except signals.Stopped:
        work.journal.save()
        raise
    finally:
        work.journal = None
    axes = work.study.axes(work.config)
    receipt = {
        "study": work.study.name,
        "lanes": unit.lanes,
        "device": f"{jax.devices()[0].device_kind} x {jax.device_count()}",
        "host": machine(),
        "science": studies.science(work.config),
        "axes": {name: studies.plain(values[unit.place.get(name, slice(None))]) for name, values in axes.items()},
    }
    work.store.write(unit.name, arrays, {**receipt, "seconds": round(time.perf_counter() - start, 3)})
    outcome.computed += 1
    outcome.lanes += unit.lanes
    work.report(outcome.lanes, total)


def _note_failure(work: _Work, unit: Unit, error: Exception) -> None:
    place = studies.where(work.study, work.config, unit)
    line = f"{place}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    path = work.store.beside(unit.name, "failed")
    text = f"unit {unit.name}\n{line}\n{machine()}, process {os.getpid()}, {time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n\n"
    files.write_bytes(path, (text + "".join(traceback.format_exception(error))).encode())
    work.outcome.failed[unit.name] = line
    console.fail(f"unit {unit.name} failed ({line}); traceback in {path}. The other units go on.")
