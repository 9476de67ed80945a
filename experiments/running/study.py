"""What every study is made of, and the one road from a configuration to results on disk.

config -> axes and units (checked, nothing computed) -> missing units computed and stored one by one
-> one labelled data set with theory beside it -> results.nc, summary.json, figures, closing table.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from experiments.running import store as _store

Place = dict[str, slice]

# Configuration that changes no number: it is not part of a unit's identity. The grid is, axis value by axis value.
NOT_SCIENCE = (
    "grid", "ensemble", "figures", "force", "plan", "store", "shard", "checkpoint", "distributed",
)  # fmt: skip


class UserError(Exception):
    """A request that cannot be carried out; the message names the value and the remedy. Shown without traceback."""


@dataclass(frozen=True)
class Verdict:
    """How far one method's measurement is from its theory, over the cells of the grid.

    Attributes:
        method: the name shown.
        z: (measured mean - theory) / standard error, any shape; NaN where there is nothing to compare.
        cell: names the cell at an index of z.
        instances: fewest usable instances in a compared cell.
    """

    method: str
    z: np.ndarray
    cell: Callable[[tuple[int, ...]], str]
    instances: int


@dataclass(frozen=True)
class Study:
    """A study: pure functions of its configuration, and of its results.

    Attributes:
        name: the module's name, also that of its schema and of conf/<name>.yaml.
        axes: config -> coordinate values of every dimension, in order.
        places: config -> which part of the axes each unit covers.
        lanes: config, place -> number of training runs in the unit (for progress).
        compute: config, place, progress(lanes done in this unit) -> arrays by name, with their dimensions.
        finish: config, assembled data set -> the same with theory, units and descriptions added.
        verdicts: finished data set -> one `Verdict` per method.
        statuses: finished data set -> {method: array of status codes}.
        figures: name -> function(finished data set) -> matplotlib figure.
    """

    name: str
    axes: Callable[[Any], dict[str, np.ndarray]]
    places: Callable[[Any], list[Place]]
    lanes: Callable[[Any, Place], int]
    compute: Callable[[Any, Place, Callable[[int], None]], _store.Arrays]
    finish: Callable[[Any, xr.Dataset], xr.Dataset]
    verdicts: Callable[[xr.Dataset], list[Verdict]]
    statuses: Callable[[xr.Dataset], dict[str, np.ndarray]]
    figures: dict[str, Callable[[xr.Dataset], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """One unit of work: where it belongs on the axes, its name on disk, and its size."""

    place: Place
    name: str
    lanes: int


def plain(config: Any) -> Any:
    """A configuration as JSON-ready values."""
    if dataclasses.is_dataclass(config):
        return {f.name: plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, dict):
        return {str(k): plain(v) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return [plain(v) for v in config]
    if isinstance(config, Enum):
        return config.value
    if isinstance(config, np.ndarray | np.generic):
        return config.tolist()
    return str(config) if isinstance(config, Path) else config


def science(config: Any) -> dict[str, Any]:
    """The part of a configuration that decides the numbers (the axes are added unit by unit)."""
    return {key: value for key, value in plain(config).items() if key not in NOT_SCIENCE}


def units(study: Study, config: Any) -> list[Unit]:
    """Every unit of a study, named by what it computes: the science and its own part of each axis."""
    axes = study.axes(config)
    base = science(config)
    out = []
    for place in study.places(config):
        own = {name: plain(values[place.get(name, slice(None))]) for name, values in axes.items()}
        name = f"{study.name}-{_store.fingerprint({**base, 'axes': own})}"
        out.append(Unit(place, name, study.lanes(config, place)))
    return out


def shard(config: Any, every: list[Unit]) -> list[Unit]:
    """This job's share of the units: every shard.count-th, so that large and small ones are spread evenly."""
    index, count = config.shard.index, config.shard.count
    if not (count >= 1 and 0 <= index < count):
        raise UserError(f"shard.index = {index} with shard.count = {count}: the index runs from 0 to count - 1.")
    return every[index::count]


def where(study: Study, config: Any, unit: Unit) -> str:
    """A unit's place on the axes in words, for messages."""
    axes = study.axes(config)
    parts = []
    for name, cut in unit.place.items():
        values = axes[name][cut]
        if not len(values):  # an axis that the unit has no part in
            continue
        first, last = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in (values[0], values[-1]))
        parts.append(f"{name} {first}" if len(values) == 1 else f"{name} {first} to {last}")
    return ", ".join(parts)


def gather(study: Study, config: Any, stores: list[_store.Units], every: list[Unit]) -> tuple[xr.Dataset, list[Unit]]:
    """The labelled data set of all finished units, theory added, and the units that are missing.

    Missing cells are NaN, status -1; they are listed in the attribute `missing`, never filled in.
    """
    parts, missing = [], []
    for unit in every:
        found = next((store for store in stores if store.receipt(unit.name) is not None), None)
        if found is None:
            missing.append(unit)
        else:
            parts.append((unit.place, found.read(unit.name)))
    if not parts:
        where_to = ", ".join(str(store.directory) for store in stores)
        raise UserError(f"{where_to} holds no finished unit of this configuration; run the study first.")
    data = study.finish(config, _store.assemble(parts, study.axes(config)))
    if missing:
        data.attrs["missing"] = "\n".join(f"{unit.name}: {where(study, config, unit)}" for unit in missing)
    return data, missing


def write_results(directory: Path, data: xr.Dataset, attributes: dict[str, Any]) -> str:
    """results.nc, written whole or not at all; returns its SHA-256."""
    content = _store.to_bytes(data.assign_attrs(attributes))
    _store.write_bytes(directory / "results.nc", content)
    return hashlib.sha256(content).hexdigest()


def writable(directory: Path) -> None:
    """Refuse an output directory that cannot be made or written to."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"output directory {directory} cannot be written ({error.strerror}). Choose another with hydra.run.dir=DIR."
        ) from error
