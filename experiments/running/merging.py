"""Merging jobs: groups of one scientific configuration on the union of their axes, and groups side by side."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.running import legacy, store
from experiments.running import study as studies
from experiments.running.jobs import Job
from experiments.running.store import StoreError, Units
from experiments.running.study import Study


@dataclass
class Group:
    """Jobs of one scientific configuration, whatever their grids and shards."""

    config: Any
    science: dict[str, Any]  # flattened: "task.dim" -> value
    jobs: list[Job] = field(default_factory=list)


@dataclass
class Gathered:
    """A group's data set (None if it has no finished unit), what it lacks, and where its units were computed."""

    data: xr.Dataset | None
    missing: list[str]
    devices: set[str]


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names."""
    if not isinstance(node, dict):
        return {prefix: node}
    return {k: v for key, child in node.items() for k, v in flat(child, f"{prefix}.{key}" if prefix else key).items()}


def groups(jobs: list[Job]) -> list[Group]:
    """Jobs by scientific configuration."""
    found: dict[str, Group] = {}
    for job in jobs:
        science = studies.science(job.config)
        found.setdefault(store.fingerprint(science), Group(job.config, flat(science))).jobs.append(job)
    return list(found.values())


def union(all_axes: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Every coordinate value that any job has; numbers in increasing order, names in order of appearance."""
    out = {}
    for name in dict.fromkeys(name for axes in all_axes for name in axes):
        values = np.concatenate([axes[name] for axes in all_axes if name in axes])
        if values.dtype.kind in "iuf":
            out[name] = np.unique(values)
        else:
            out[name] = np.asarray(list(dict.fromkeys(values.tolist())))
    return out


def positions(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Where values lie on an axis that holds them all."""
    where = {value: i for i, value in enumerate(axis.tolist())}
    return np.asarray([where[value] for value in values.tolist()], int)


def gathered(study: Study, group: Group, where: list[Units]) -> Gathered:
    """The data set of a group with theory added, and what is missing of it."""
    axes = union([study.axes(job.config) for job in group.jobs])
    parts: list[tuple[dict[str, Any], store.Arrays]] = []
    missing, seen, devices = [], set(), set()
    covered: dict[tuple[str, ...], np.ndarray] = {}  # by the axes that a kind of unit has a part in
    for job in group.jobs:
        own = study.axes(job.config)
        for unit in studies.units(study, job.config):
            if unit.name in seen:
                continue
            seen.add(unit.name)
            place = {d: positions(axes[d], values[unit.place.get(d, slice(None))]) for d, values in own.items()}
            dims = tuple(d for d in axes if len(place[d]))
            grid = covered.setdefault(dims, np.zeros([len(axes[d]) for d in dims], bool))
            grid[np.ix_(*(place[d] for d in dims))] = True
            arrays, told = _found(where, unit.name)
            if arrays is None:
                missing.append(f"{unit.name}: {studies.where(study, job.config, unit)}{told and f' ({told})'}")
            else:
                devices.add(told)
                parts.append((place, arrays))
    missing += [
        f"{np.mean(~grid):.0%} of the common grid, which no job was asked for"
        for grid in covered.values()
        if not grid.all()
    ]
    if not parts:
        return Gathered(None, missing, devices)
    data = study.finish(group.config, store.assemble(parts, axes))
    data.attrs["missing"] = "\n".join(missing)
    return Gathered(data, missing, devices)


def _found(where: list[Units], name: str) -> tuple[store.Arrays | None, str]:
    """A unit's arrays and the device it was computed on, or None and what is wrong with what lies under its name."""
    faults = []
    for place in where:
        state = place.state(name)
        if state.receipt is None:
            faults += [state.fault] if state.fault else []
            continue
        try:
            return legacy.modern_unit(place.read(name)), str(state.receipt.get("device", "unknown device"))
        except StoreError as error:  # changed since
            faults.append(str(error))
    return None, "; ".join(faults)


def varying(found: list[Group]) -> dict[str, np.ndarray]:
    """The configuration keys in which groups differ, with their values."""
    out = {}
    for key in dict.fromkeys(key for group in found for key in group.science):
        values = [_label(group.science.get(key)) for group in found]
        if len(set(values)) > 1:
            distinct = list(dict.fromkeys(values))
            numeric = all(isinstance(v, int | float) for v in distinct)
            out[key] = np.asarray(sorted(distinct) if numeric else list(map(str, distinct)))
    return out


def _label(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def stacked(keys: dict[str, np.ndarray], found: list[Group], data: list[xr.Dataset]) -> xr.Dataset:
    """The groups side by side, along one new dimension for every key in which they differ."""
    index = {name: union([{name: d[name].values} for d in data if name in d.indexes])[name] for name in _indexes(data)}
    whole: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for group, part in zip(found, data, strict=True):
        at = []
        for key, values in keys.items():
            at.append(positions(values, np.asarray([_label(group.science.get(key))], values.dtype)))
        for name, array in {**part.data_vars, **{n: c for n, c in part.coords.items() if n not in index}}.items():
            dims = (*keys, *map(str, array.dims))
            own = [positions(index[d], part[d].values) for d in array.dims]
            if name not in whole:
                shape = [len(keys[d] if d in keys else index[d]) for d in dims]
                fill = np.nan if array.dtype.kind == "f" else -1
                whole[name] = (dims, np.full(shape, fill, array.dtype))
            whole[name][1][np.ix_(*at, *own)] = array.values
    out = xr.Dataset(whole, coords={**keys, **index})
    for name, array in data[0].data_vars.items():
        out[name].attrs = array.attrs
    return out


def _indexes(data: list[xr.Dataset]) -> list[str]:
    return list(dict.fromkeys(str(name) for part in data for name in part.indexes))


def differences(group: Group, found: list[Group]) -> str:
    """What sets a group apart from the others: key=value pairs."""
    return ",".join(f"{key}={group.science.get(key)}" for key in varying(found)) or "this configuration"
