"""Computing what is missing: unit by unit, claimed, checkpointed, stored; a failure ends its unit only."""

import contextlib
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from experiments.running import console as _console
from experiments.running import hosts as _hosts
from experiments.running import signals as _signals
from experiments.running import store as _store
from experiments.running import study as _study
from experiments.running.checkpoint import Journal
from experiments.running.claims import BEAT_SECONDS, Claims, holder, machine
from experiments.running.study import Study, Unit, UserError
from tlx import ensemble

LONG_CALL_SECONDS = 60.0
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
    store: _store.Units
    todo: list[Unit]
    report: Callable[[int, int], None]
    claims: Claims = field(default_factory=Claims)
    outcome: Outcome = field(default_factory=Outcome)
    order: dict[str, int] = field(default_factory=dict)  # a unit's number in the whole study, which all hosts share
    journal: Journal | None = None
    beaten: float = 0.0
    called: float = 0.0
    warned: bool = False

    def beat(self) -> None:
        """Touch the claims now and then."""
        if time.monotonic() - self.beaten > BEAT_SECONDS:
            self.beaten = time.monotonic()
            self.claims.beat()

    def watch_call(self) -> None:
        """Say once that compiled calls are so long that a kill would cost more than it should."""
        now = time.monotonic()
        length, self.called = now - self.called, now
        if length > LONG_CALL_SECONDS and not self.warned:
            self.warned = True
            _console.say(
                f"one compiled call took {length:.0f} s, which is what a kill can cost: split the grid into smaller "
                "units (fewer angles a command, ensemble.lanes_together) if that is too much."
            )

    def abandon(self) -> None:
        """Save what can be saved without the working thread."""
        try:
            if self.journal is not None:
                self.journal.save()
        except (_store.StoreError, ValueError):
            pass  # what was saved before is still there
        self.claims.release_all()
        _console.fail("stopped before the running call had ended; everything saved is kept, run the command again.")


def compute_missing(
    study: Study,
    config: Any,
    store: _store.Units,
    todo: list[Unit],
    report: Callable[[int, int], None],
    every: list[Unit] | None = None,
) -> Outcome:
    """Compute and store the given units in order; `report(lanes done, lanes in all)` after every compiled call.

    Units that another process computes are left to it and waited for at the end.

    Raises:
        Stopped: a signal asked for it; what is finished is stored, the unit under way is saved.
        StoreError: the directory cannot be written any more.
    """
    order = {unit.name: i for i, unit in enumerate(todo if every is None else every)}
    work = _Work(study, config, store, todo, report, order=order)
    if not todo:
        return work.outcome
    _store.make_directory(store.directory)
    begin = time.perf_counter()
    try:
        _signals.supervised(lambda stop: _all(work, stop), work.beat, work.abandon)
    finally:
        work.claims.release_all()
        work.outcome.seconds = time.perf_counter() - begin
    return work.outcome


def follow(study: Study, config: Any, every: list[Unit]) -> None:
    """Compute this host's lanes of the units that process 0 announces, until it has no more."""

    def body(stop: _signals.Stop) -> None:
        while (number := _hosts.announced()) != _hosts.DISMISSED:
            with contextlib.suppress(Exception):  # process 0 has the same error, and notes it
                study.compute(config, every[number].place, lambda lanes: stop.check())

    _signals.supervised(body, lambda: None, lambda: None)


def _all(work: _Work, stop: _signals.Stop) -> None:
    waiting = list(work.todo)
    while waiting:
        elsewhere = [unit for unit in waiting if not _one(work, unit, stop)]
        if len(elsewhere) == len(waiting):
            _rest(stop)
        waiting = elsewhere


def _rest(stop: _signals.Stop) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        stop.check()
        time.sleep(0.05)


def _one(work: _Work, unit: Unit, stop: _signals.Stop) -> bool:
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
    except (UserError, _store.StoreError):  # true of every unit: the job ends
        raise
    except Exception as error:
        _note_failure(work, unit, error)
    finally:
        work.claims.release(claim)
    return True


def _compute(work: _Work, unit: Unit, stop: _signals.Stop) -> None:
    outcome, total = work.outcome, sum(u.lanes for u in work.todo)
    work.called = time.monotonic()
    start, done = time.perf_counter(), outcome.lanes

    def progress(lanes: int) -> None:
        work.report(done + lanes, total)
        work.watch_call()
        stop.check()

    _hosts.announce(work.order[unit.name])
    # over several hosts a unit is all or nothing: what one of them had saved, the others would lack
    seconds = work.config.checkpoint.seconds if jax.process_count() == 1 else None
    work.journal = Journal(work.store.beside(unit.name, "partial"), seconds)
    try:
        with ensemble.journal(work.journal):
            arrays = work.study.compute(work.config, unit.place, progress)
    except _signals.Stopped:
        work.journal.save()
        raise
    finally:
        work.journal = None
    receipt = {
        "study": work.study.name,
        "lanes": unit.lanes,
        "device": f"{jax.devices()[0].device_kind} x {jax.device_count()}",
        "host": machine(),
        "science": _study.science(work.config),
    }
    work.store.write(unit.name, arrays, {**receipt, "seconds": round(time.perf_counter() - start, 3)})
    outcome.computed += 1
    outcome.lanes += unit.lanes
    work.report(outcome.lanes, total)


def _note_failure(work: _Work, unit: Unit, error: Exception) -> None:
    place = _study.where(work.study, work.config, unit)
    line = f"{place}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    path = work.store.beside(unit.name, "failed")
    text = f"unit {unit.name}\n{line}\n{machine()}, process {os.getpid()}, {time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n\n"
    _store.write_bytes(path, (text + "".join(traceback.format_exception(error))).encode())
    work.outcome.failed[unit.name] = line
    _console.fail(f"unit {unit.name} failed ({line}); traceback in {path}. The other units go on.")


def situation(store: _store.Units, unit: Unit) -> str:
    """One word on a unit, and who is at it: finished, running, failed, saved in part, damaged or missing."""
    state = store.state(unit.name)
    if state.receipt is not None:
        return "finished"
    found = holder(store.beside(unit.name, "claim"))
    if found:
        return f"running ({found.get('host')}, process {found.get('pid')})"
    if store.beside(unit.name, "failed").exists():
        return "failed"
    if store.beside(unit.name, "partial").exists():
        return "saved in part"
    return state.fault or "missing"


def status(path: Path, state: str, every: list[Unit], outcome: Outcome, command: str) -> None:
    """The status file of a job: what it is, how far it is, and which units failed."""
    _store.write_json(
        path,
        {
            "state": state,
            "units": len(every),
            "computed": outcome.computed,
            "failed": outcome.failed,
            "host": machine(),
            "pid": os.getpid(),
            "job": slurm_job(),
            "updated": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": command,
        },
    )


def slurm_job() -> str:
    """The SLURM job this is, as squeue names it, or nothing."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")
