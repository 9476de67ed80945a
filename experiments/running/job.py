"""One job: from a typed configuration and an output directory to results, computing only what is missing."""

import contextlib
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from experiments.running import bounds, compute, console, files, folder, forecast, hosts, results, signals
from experiments.running import study as studies
from experiments.running.following import follow
from experiments.running.start import start_jax
from experiments.running.status import Status, standing
from experiments.running.store import FORMAT, StoreError, Units, version
from experiments.running.study import Study, Unit, UserError


class UnitsFailed(Exception):
    """Some units failed; the message names them."""

    code = 1  # of the command


class Request(NamedTuple):
    """A job whose configuration has passed every check: nothing is computed or written yet."""

    study: Study
    config: Any
    directory: Path
    every: list[Unit]
    mine: list[Unit]  # this shard's
    figures: list[str]
    store: Units
    identity: str


def check(study: Study, config: Any, directory: Path) -> Request:
    """Every check of a configuration and of the directory it is to fill, before any compute.

    Raises:
        UserError: it cannot be carried out; the message names the value and the remedy.
    """
    if config.study != study.name:
        raise UserError(f"this preset belongs to experiments.{config.study}, not experiments.{study.name}; run that.")
    bounds.check(config)
    start_jax(config)
    try:
        bounds.check_size({name: len(values) for name, values in study.axes(config).items()}, study.apart)
        every = studies.units(study, config)
    except UserError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(bounds.by_key(" ".join(str(error).split()), config)) from error
    mine = studies.shard(config, every)
    figures = results.chosen_figures(study, config)
    store = Units(Path(config.store) if config.store else directory / "units")
    identity = studies.identity(study, config)
    if not config.plan and not hosts.follows():
        folder.refuse_foreign(directory, identity)
    return Request(study, config, directory, every, mine, figures, store, identity)


def run(study: Study, config: Any, directory: Path, command: str = "", begin: Callable[[], None] | None = None) -> Path:
    """Everything one command does, for a study, its typed configuration and an output directory.

    `begin` is called when every check is passed and something will be computed.
    """
    with console.silent(config.quiet):
        return _whole(study, config, directory, command, begin)


def _whole(study: Study, config: Any, directory: Path, command: str, begin: Callable[[], None] | None) -> Path:
    hosts.start(config.distributed)
    with hosts.dismissing():
        request = check(study, config, directory)
        if hosts.follows():
            if not config.plan:
                follow(study, config, request.every)
        elif config.plan:
            forecast.show(study, config, request.store, request.every, request.mine)
        else:
            _run(request, command, begin)
    return directory


def _run(request: Request, command: str, begin: Callable[[], None] | None) -> None:
    config, directory, mine = request.config, request.directory, request.mine
    path = directory / ("status.json" if config.shard.count == 1 else f"status-{config.shard.index}.json")
    todo, target = _todo(config, request.store, mine)
    console.header(request.study.name, directory, mine, todo)
    facts = {"study": request.study.name, "units": len(mine), "computed": 0, "failed": {}, "command": command}
    status = Status(path, **facts, identity=request.identity)
    if not todo and results.complete(directory, request.figures):
        console.say(f"already complete: {directory / 'results.nc'} (force=true computes it again)")
        _confirm(status)
        return

    def first() -> None:
        status.set("starting")
        if begin is not None:
            begin()

    with _told(status):
        folder.enter(directory, request.identity, first)
        outcome = _compute(request, (todo, target), status)
        _results(request, command, outcome, target, status)


def _confirm(status: Status) -> None:
    """The status of a job that was complete before: renewed, for a multirun counts the jobs of its time."""
    with contextlib.suppress(OSError):
        if standing(status.path).get("state") == "finished":
            os.utime(status.path)
        else:  # killed after its last result
            status.set("finished")
            (status.path.parent / "traceback.txt").unlink(missing_ok=True)


@contextlib.contextmanager
def _told(status: Status) -> Iterator[None]:
    """Whatever ends the work, the status file says so, and how; but not if the directory was refused."""
    note = status.path.parent / "traceback.txt"
    try:
        with signals.interruptible():
            yield
    except BaseException as error:
        if status.facts["state"]:
            _tell(status, error, note)
        raise
    if status.facts["state"] == "drawing":
        status.set("finished")
    with contextlib.suppress(OSError):
        note.unlink(missing_ok=True)


def _tell(status: Status, error: BaseException, note: Path) -> None:
    if isinstance(error, UnitsFailed):
        status.set("failed in part")
    elif isinstance(error, signals.Stopped | KeyboardInterrupt):
        status.set(f"stopped by {str(error) or 'SIGINT'}")
    else:
        status.set("failed", error=f"{type(error).__name__}: {error}")
        with contextlib.suppress(StoreError):
            files.write_bytes(note, "".join(traceback.format_exception(error)).encode())


def _results(request: Request, command: str, outcome: compute.Outcome, target: Units, status: Status) -> None:
    """Results and figures of what is finished, unless other shards have still to do their part."""
    study, config, directory, store = request.study, request.config, request.directory, request.store
    status.set("drawing", computed=outcome.computed, failed=outcome.failed)
    if target is not store and not outcome.failed:
        target.move_to(store, [unit.name for unit in request.mine])
    if len(outcome.failed) == len(request.every):
        raise UnitsFailed(_failures(target, outcome))
    data, missing = studies.gather(study, config, [store], request.every)
    if missing and not outcome.failed:
        console.say(
            f"shard {config.shard.index} of {config.shard.count} is done; {len(missing)} of {len(request.every)} units "
            "are still missing. The last shard to finish writes the results, or python -m experiments.collect does."
        )
        status.set("finished its shard")
        return
    folder.refuse_foreign(directory, request.identity)
    about = {"identity": request.identity, "command": command}
    results.finish(study, config, directory, data, about, outcome, request.figures)
    if outcome.failed:
        raise UnitsFailed(_failures(target, outcome))


def _todo(config: Any, store: Units, mine: list[Unit]) -> tuple[list[Unit], Units]:
    """The units to compute, and where to: the store itself, or beside it when everything is computed again."""
    beside = Units(store.directory.with_name(f"{store.directory.name}.forced"))
    if beside.directory.exists():  # a replacement that was killed half way
        beside.settle(store)
    target = beside if config.force else store
    states = {unit.name: target.state(unit.name) for unit in mine}
    target.tidy({name for name, state in states.items() if state.receipt})
    old = Counter(version(s.receipt) for s in states.values() if s.receipt and s.receipt["format"] != FORMAT)
    for written, count in old.items():
        console.say(f"{count} finished units are of {written}, and are read")
    for name, state in states.items():
        if state.fault:
            console.say(f"unit {name} {state.fault}: computed again")
    return [unit for unit in mine if states[unit.name].receipt is None], target


def _compute(request: Request, work: tuple[list[Unit], Units], status: Status) -> compute.Outcome:
    """Compute this job's missing units; the status file says how far it is."""
    todo, target = work
    status.set("running")

    def stopping(signal_name: str) -> None:
        status.set(f"stopped by {signal_name}")

    with console.Progress(request.study.name) as bar:

        def report(done: int, total: int) -> None:
            bar.update(done, total)
            status.progress(done, total)

        outcome = compute.compute_missing(
            *(request.study, request.config, target, todo, report, request.every),
            stopping=stopping,
            starting=bar.wait,
        )
    hosts.announce(hosts.DISMISSED)
    return outcome


def _failures(store: Units, outcome: compute.Outcome) -> str:
    lines = [f"  {name} ({line}): {store.beside(name, 'failed')}" for name, line in outcome.failed.items()]
    return "\n".join([f"{len(lines)} unit(s) failed; those that did not are kept. Tracebacks:", *lines])
