"""`plan=true`: what a command would compute, what it takes and what is already there. Nothing is computed."""

import contextlib
import math
from collections import Counter
from typing import Any

import numpy as np

from experiments.running import console as _console
from experiments.running import store as _store
from experiments.running import study as _study
from experiments.running.status import situation
from experiments.running.study import Study, Unit, UserError
from tlx import ensemble

SHOWN = 12  # unfinished units listed by name


def show(study: Study, config: Any, store: _store.Units, every: list[Unit], mine: list[Unit]) -> None:
    """Print the plan of a command."""
    axes = ", ".join(f"{name} {len(values)}" for name, values in study.axes(config).items())
    _console.say(f"{study.name}: {len(every)} units, {sum(u.lanes for u in every)} training runs; axes: {axes}")
    if len(mine) != len(every):
        shard = config.shard
        _console.say(f"shard {shard.index} of {shard.count}: {len(mine)} units, {sum(u.lanes for u in mine)} runs")
    situations = {unit.name: situation(store, unit) for unit in mine}
    counts = Counter("running" if s.startswith("running") else s for s in situations.values())
    _console.say("units: " + ", ".join(f"{count} {word}" for word, count in counts.most_common()))
    todo = [unit for unit in mine if situations[unit.name] != "finished"]
    for unit in todo[:SHOWN]:
        place = _study.where(study, config, unit)
        _console.say(f"  {unit.name}  {place}  ({unit.lanes} runs): {situations[unit.name]}")
    if len(todo) > SHOWN:
        _console.say(f"  ... and {len(todo) - SHOWN} more")
    rehearsed, arrays = _rehearse(study, config, (todo or mine)[0])
    _memory(config, rehearsed, arrays, len(every))
    _time(store, mine, todo)


def _rehearse(study: Study, config: Any, unit: Unit) -> tuple[list[ensemble.Rehearsed], _store.Arrays]:
    arrays: _store.Arrays = {}
    quiet = contextlib.suppress(ArithmeticError, IndexError, KeyError)  # zeros may not suit what follows a run
    with ensemble.rehearsal() as rehearsed, quiet, np.errstate(all="ignore"):
        try:
            arrays = study.compute(config, unit.place, lambda lanes: None)
        except ValueError as error:
            raise UserError(str(error)) from error
    return rehearsed, arrays


def _memory(config: Any, rehearsed: list[ensemble.Rehearsed], arrays: _store.Arrays, units: int) -> None:
    for name, (dims, values) in arrays.items():
        shape = " x ".join(f"{dim} {size}" for dim, size in zip(dims, values.shape, strict=True))
        _console.say(f"  {name}: {shape}  {values.dtype}")
    stored = sum(values.nbytes for _, values in arrays.values())
    _console.say(f"on disk: at most {_size(stored)} a unit, {_size(stored * units)} in all")
    for run in rehearsed:
        limit = "no limit set" if run.layout.memory is None else f"of {_size(run.layout.memory)} allowed"
        _console.say(
            f"memory: {_size(run.bytes_per_call)} a device ({limit}); {len(run.layout.devices)} device(s), "
            f"{run.layout.together} lane(s) together, {run.layout.per_call} in a compiled call"
        )


def _time(store: _store.Units, mine: list[Unit], todo: list[Unit]) -> None:
    receipts = [r for unit in mine if (r := store.receipt(unit.name)) is not None]
    left = sum(unit.lanes for unit in todo)
    if receipts:
        rate = sum(r["seconds"] for r in receipts) / max(sum(r["lanes"] for r in receipts), 1)
        _console.say(f"time: about {_duration(left * rate)} by the finished units ({rate:.3g} s a run)")
        return
    _console.say(
        f"time: not known for these {left} runs before one unit is finished; start the command, stop it by Ctrl-C "
        "after its first unit (which is kept) and ask again"
    )


def _size(count: float) -> str:
    power = 0 if count < 1 else min(int(math.log10(count)) // 3, 4)
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _duration(seconds: float) -> str:
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 86400:.3g} days"
