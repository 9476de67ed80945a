"""One job: from a typed configuration and an output directory to results, computing only what is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.running import compute as _runner
from experiments.running import console as _console
from experiments.running import forecast as _plan
from experiments.running import hosts as _hosts
from experiments.running import results as _results
from experiments.running import store as _store
from experiments.running import study as _study
from experiments.running.signals import Stopped
from experiments.running.start import start_jax
from experiments.running.study import Study, Unit, UserError


class UnitsFailed(Exception):
    """Some units failed; the message names them."""


def run(study: Study, config: Any, directory: Path, command: str = "", begin: Callable[[], None] | None = None) -> Path:
    """Everything one command does, for a study, its typed configuration and an output directory.

    `begin` is called when every check is passed and something will be computed.
    """
    if config.study != study.name:
        raise UserError(f"this preset belongs to experiments.{config.study}, not experiments.{study.name}; run that.")
    with _console.silent(config.quiet):
        return _run(study, config, directory, command, begin)


def _run(study: Study, config: Any, directory: Path, command: str, begin: Callable[[], None] | None) -> Path:
    _hosts.start(config.distributed)
    start_jax(config)
    try:  # every check of the configuration happens here, before any compute
        every = _study.units(study, config)
    except ValueError as error:
        raise UserError(str(error)) from error
    mine = _study.shard(config, every)
    chosen = _results.chosen_figures(study, config)
    store = _store.Units(Path(config.store) if config.store else directory / "units")
    if config.plan:
        if not _hosts.follows():
            _plan.show(study, config, store, every, mine)
        return directory
    if _hosts.follows():
        _runner.follow(study, config, every)
        return directory
    identity = _study.identity(study, config)
    _results.refuse_foreign(directory, identity)
    todo, target = _todo(config, store, mine)
    _console.header(study.name, directory, mine, todo)
    if not todo:
        _hosts.announce(_hosts.DISMISSED)
    if not todo and _results.complete(directory, chosen):
        _console.say(f"already complete: {directory / 'results.nc'} (force=true computes it again)")
        return directory
    _study.writable(directory)
    if begin is not None:
        begin()
    outcome = _compute(study, config, directory, command, (mine, todo, target), every)
    if target is not store and not outcome.failed:
        target.move_to(store, [unit.name for unit in mine])
    data, missing = _study.gather(study, config, [store], every)
    if missing and not outcome.failed:  # the other shards' part
        _console.say(
            f"shard {config.shard.index} of {config.shard.count} is done; {len(missing)} of {len(every)} units are "
            "still missing. The last shard to finish writes the results, or python -m experiments.collect does."
        )
        return directory
    _results.finish(study, config, directory, data, {"identity": identity, "command": command}, outcome, chosen)
    if outcome.failed:
        raise UnitsFailed(_failures(target, outcome))
    return directory


def _todo(config: Any, store: _store.Units, mine: list[Unit]) -> tuple[list[Unit], _store.Units]:
    """The units to compute, and where to: the store itself, or beside it when everything is computed again."""
    beside = _store.Units(store.directory.with_name(f"{store.directory.name}.forced"))
    if beside.directory.exists():  # a replacement that was killed half way
        beside.settle(store)
    target = beside if config.force else store
    states = {unit.name: target.state(unit.name) for unit in mine}
    for name, state in states.items():
        if state.fault:
            _console.say(f"unit {name} {state.fault}: computed again")
    return [unit for unit in mine if states[unit.name].receipt is None], target


def _compute(
    study: Study, config: Any, directory: Path, command: str, job: tuple, every: list[Unit]
) -> _runner.Outcome:
    """Compute this job's missing units, with a status file that says how far it is."""
    mine, todo, target = job
    path = directory / ("status.json" if config.shard.count == 1 else f"status-{config.shard.index}.json")
    outcome = _runner.Outcome()
    _runner.status(path, "running", mine, outcome, command)
    try:
        with _console.Progress(study.name) as bar:
            outcome = _runner.compute_missing(study, config, target, todo, bar.update, every)
    except Stopped as stopped:
        _runner.status(path, f"stopped by {stopped}", mine, outcome, command)
        raise
    if todo:
        _hosts.announce(_hosts.DISMISSED)
    _runner.status(path, "failed in part" if outcome.failed else "finished", mine, outcome, command)
    return outcome


def _failures(store: _store.Units, outcome: _runner.Outcome) -> str:
    lines = [f"  {name} ({line}): {store.beside(name, 'failed')}" for name, line in outcome.failed.items()]
    return "\n".join([f"{len(lines)} unit(s) failed, the others are finished; tracebacks:", *lines])
