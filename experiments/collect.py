"""One labelled data set from the units of any number of jobs, shards and directories, and the figures drawn from it.

python -m experiments.collect DIR [DIR ...] --output DIR

Looks below every DIR for jobs (their configuration) and units. Jobs that differ only in their grid or shard are merged
on the union of their axes; where jobs differ in anything else (depth, noise, seed, ...) that becomes a dimension of its
own. Cells without a finished unit stay NaN (integers -1) and are listed; nothing is ever filled in or computed.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from omegaconf import OmegaConf

from experiments.running import api as _api
from experiments.running import compute as _runner
from experiments.running import console as _console
from experiments.running import legacy as _legacy
from experiments.running import results as _results
from experiments.running import store as _store
from experiments.running import study as _study
from experiments.running.compose import slug
from experiments.running.start import start_jax
from experiments.running.study import Study, UserError


@dataclass
class Group:
    """Jobs of one scientific configuration, whatever their grids and shards."""

    config: Any
    science: dict[str, Any]  # flattened: "task.dim" -> value
    jobs: list[Any] = field(default_factory=list)


@dataclass
class Gathered:
    """A group's data set, what it lacks, and where its units were computed."""

    data: xr.Dataset
    missing: list[str]
    devices: set[str]


def configurations(directories: list[Path], own: Sequence[Study] = ()) -> list[Any]:
    """The configuration of every job below these directories."""
    found, known = [], {study.name: study for study in (*map(_api.find, _api.studies()), *own)}
    for directory in directories:
        if not directory.is_dir():
            raise UserError(f"{directory} is not a directory; name the output directories of jobs, or one above them.")
        for path in sorted(directory.rglob(".hydra/config.yaml")):
            loaded = OmegaConf.load(path)
            if loaded.get("study") in known:
                schema = OmegaConf.structured(known[loaded.study].Config)
                found.append(OmegaConf.to_object(OmegaConf.merge(schema, loaded)))
    if not found:
        raise UserError(f"no job of a study lies below {', '.join(map(str, directories))} (no .hydra/config.yaml).")
    return found


def stores(directories: list[Path], configs: list[Any]) -> list[_store.Units]:
    """Every directory that may hold units: `units` below the given ones, and the jobs' common stores."""
    places = {path for directory in directories for path in directory.rglob("units") if path.is_dir()}
    places |= {Path(config.store) for config in configs if config.store}
    return [_store.Units(path) for path in sorted(places)]


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names."""
    if not isinstance(node, dict):
        return {prefix: node}
    return {k: v for key, child in node.items() for k, v in flat(child, f"{prefix}.{key}" if prefix else key).items()}


def groups(configs: list[Any]) -> list[Group]:
    """Jobs by scientific configuration."""
    found: dict[str, Group] = {}
    for config in configs:
        science = _study.science(config)
        found.setdefault(_store.fingerprint(science), Group(config, flat(science))).jobs.append(config)
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


def gathered(study: Study, group: Group, where: list[_store.Units]) -> Gathered | None:
    """The data set of a group with theory added, or None if it has no finished unit at all."""
    axes = union([study.axes(job) for job in group.jobs])
    parts, missing, seen, devices = [], [], set(), set()
    covered: dict[tuple[str, ...], np.ndarray] = {}  # by the axes that a kind of unit has a part in
    for job in group.jobs:
        own = study.axes(job)
        for unit in _study.units(study, job):
            if unit.name in seen:
                continue
            seen.add(unit.name)
            place = {d: positions(axes[d], values[unit.place.get(d, slice(None))]) for d, values in own.items()}
            store = next((s for s in where if s.receipt(unit.name) is not None), None)
            dims = tuple(d for d in axes if len(place[d]))
            grid = covered.setdefault(dims, np.zeros([len(axes[d]) for d in dims], bool))
            grid[np.ix_(*(place[d] for d in dims))] = True
            if store is None:
                missing.append(f"{unit.name}: {_study.where(study, job, unit)}")
                continue
            devices.add((store.receipt(unit.name) or {}).get("device", "unknown device"))
            parts.append((place, _legacy.modern_unit(store.read(unit.name))))
    for grid in covered.values():
        if not grid.all():
            missing.append(f"{np.mean(~grid):.0%} of the common grid, which no job was asked for")
    if not parts:
        return None
    data = study.finish(group.config, _store.assemble(parts, axes))
    data.attrs["missing"] = "\n".join(missing)
    return Gathered(data, missing, devices)


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


def collect(
    directories: list[Path], output: Path, figures: list[str] | None = None, own: Sequence[Study] = ()
) -> xr.Dataset:
    """Merge, report what is missing, and write results.nc, summary.json and figures to `output`.

    `own` are studies that are not commands of this package.
    """
    configs = configurations(directories, own)
    names = sorted({config.study for config in configs})
    if len(names) > 1:
        raise UserError(f"these directories hold jobs of several studies ({', '.join(names)}); collect one at a time.")
    study = next((study for study in own if study.name == names[0]), None) or _api.find(names[0])
    where, found = stores(directories, configs), groups(configs)
    start_jax(configs[0])
    _study.writable(output)
    done = [(group, result) for group in found if (result := gathered(study, group, where)) is not None]
    for group in found:
        if not any(group is other for other, _ in done):
            _console.fail(f"no unit is finished of {_differences(group, found)}")
    if not done:
        raise UserError(f"{len(configs)} jobs, but no finished unit; run them first.")
    for group, result in done:
        place = output if len(found) == 1 else output / slug(_differences(group, found))
        group.config.figures = figures
        chosen = _results.chosen_figures(study, group.config)
        _study.writable(place)
        attributes = {"device": "; ".join(sorted(result.devices)), "command": " ".join(sys.argv)}
        _results.finish(study, group.config, place, result.data, attributes, _runner.Outcome(), chosen)
    if len(found) == 1:
        return done[0][1].data
    return _write_stacked(study, output, found, [group for group, _ in done], [result for _, result in done])


def _write_stacked(
    study: Study, output: Path, found: list[Group], kept: list[Group], results: list[Gathered]
) -> xr.Dataset:
    keys = varying(found)
    data = stacked(keys, kept, [result.data for result in results])
    missing = [f"{_differences(g, found)}: {line}" for g, r in zip(kept, results, strict=True) for line in r.missing]
    missing += [f"{_differences(group, found)}: nothing finished" for group in found if group not in kept]
    absent = int(np.prod([len(values) for values in keys.values()])) - len(found)
    missing += [f"{absent} combinations of {', '.join(keys)}, which no job was asked for"] if absent else []
    data.attrs = {"study": study.name, "missing": "\n".join(missing)}
    _study.write_results(output, data, {})
    dimensions = ", ".join(f"{name} {size}" for name, size in data.sizes.items())
    _console.say(f"{len(kept)} configurations in {output / 'results.nc'}: {dimensions}")
    for line in missing:
        _console.say(f"  missing: {line}")
    return data


def _differences(group: Group, found: list[Group]) -> str:
    return ",".join(f"{key}={group.science.get(key)}" for key in varying(found)) or "this configuration"


def main(own: Sequence[Study] = ()) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "directories", nargs="+", type=Path, metavar="DIR", help="output directories, or one above them"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where the merged results go")
    parser.add_argument("--figures", nargs="*", help="figures to draw (default: all of the study's)")
    arguments = parser.parse_args()
    try:
        data = collect(arguments.directories, arguments.output, arguments.figures, own)
    except (UserError, _store.StoreError) as error:
        _console.fail(str(error))
        raise SystemExit(2) from None
    raise SystemExit(1 if data.attrs.get("missing") else 0)


if __name__ == "__main__":
    main()
