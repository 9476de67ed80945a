"""What every study is made of, and the one road from a configuration to results on disk.

config -> axes and units (checked, nothing computed) -> missing units computed and stored one by one
-> one labelled data set with theory beside it -> results.nc, summary.json, figures, closing table.
"""

import dataclasses
import hashlib
import inspect
import math
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from experiments.running import custom as _custom
from experiments.running import files as _files
from experiments.running import legacy as _legacy
from experiments.running import store as _store

Place = dict[str, slice]
Progress = Callable[[int], None]


class UserError(ValueError):
    """A request that cannot be carried out; the message names the value and the remedy. Shown without traceback."""

    code = 2  # of the command


@dataclass(frozen=True)
class Verdict:
    """How far one protocol's measurement is from its theory, over the cells of the grid.

    Attributes:
        method: the name shown.
        z: (measured mean - theory) / standard error, any shape; NaN where there is nothing to compare.
        cell: names the cell at an index of z.
        instances: fewest usable instances in a compared cell.
        exact: normal deviates of the cells whose law is known, of the shape of z; NaN elsewhere. None: of no cell.
        claimed: whether the theory is said to hold; False for a form that stands there to be rejected.
    """

    method: str
    z: np.ndarray
    cell: Callable[[tuple[int, ...]], str]
    instances: int
    exact: np.ndarray | None = None
    claimed: bool = True


class Study:
    """A study: functions of its configuration, and of its results. A subclass's docstring begins with its question.

    Attributes:
        Config: the dataclass of everything that may be configured, with defaults.
        figures: name -> function(finished data set) -> matplotlib figure; a property where drawing has to be imported.
        runs_along: the dimensions along which every value is a training run of its own (for progress).
        apart: groups of dimensions that never meet in one array: penalties tried one at a time, parts of a study.
        leaves: what the output directory gets, as --help says it.
    """

    Config: ClassVar[type]
    runs_along: ClassVar[tuple[str, ...]] = ("instance",)
    apart: ClassVar[tuple[tuple[str, ...], ...]] = ()
    leaves: ClassVar[str] = (
        "report.html, results.nc, summary.json and the figures as PNG and PDF. The same\n"
        "command again computes what is missing and nothing else."
    )

    @property
    def name(self) -> str:
        """The name of the module that holds the study: that of its command, schema and presets."""
        return _module(type(self)).rpartition(".")[2]

    @property
    def figures(self) -> Mapping[str, Callable[[xr.Dataset], Any]]:
        """Name -> the function that draws it from the finished data set."""
        return {}

    @property
    def about(self) -> str:
        """The docstring, which --help begins with."""
        return inspect.cleandoc(type(self).__doc__ or "")

    @property
    def question(self) -> str:
        """The first sentence of the docstring."""
        text = " ".join(self.about.split())
        end = min((at for at in (text.find("? "), text.find(": "), text.find(". ")) if at >= 0), default=len(text) - 1)
        return text[: end + 1].rstrip(":.")

    def __reduce__(self) -> tuple:
        """Pickled by reference, as functions are, so that a launcher's process finds the study in its own module."""
        return by_reference, (f"{_module(type(self))}:{type(self).__name__}",)

    def in_its_module(self) -> "Study":
        """The study as others import it, also where its module runs as a program."""
        return self if type(self).__module__ != "__main__" else by_reference(*self.__reduce__()[1])

    def axes(self, config: Any) -> dict[str, np.ndarray]:
        """Coordinate values of every dimension, in order; every check of the configuration happens here."""
        raise NotImplementedError

    def places(self, config: Any) -> list[Place]:
        """Which part of the axes each unit covers."""
        raise NotImplementedError

    def lanes(self, config: Any, place: Place) -> int:
        """Training runs in a unit."""
        axes = self.axes(config)
        return math.prod(len(axes[dim][place.get(dim, slice(None))]) for dim in self.runs_along)

    def compute(self, config: Any, place: Place, progress: Progress) -> _store.Arrays:
        """A unit's arrays by name, with their dimensions; `progress(runs done in this unit)` on the way."""
        raise NotImplementedError

    def finish(self, config: Any, data: xr.Dataset) -> xr.Dataset:
        """The assembled data set with theory, statistics, units and descriptions added."""
        return data

    def exports(self, config: Any, data: xr.Dataset) -> dict[str, str]:
        """Further files of a finished run, name -> text."""
        return {}

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """The distance from theory, protocol by protocol."""
        return []

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the training runs, protocol by protocol."""
        if "protocol" not in data.status.dims:
            return {"training": data.status.values}
        return {str(name): data.status.sel(protocol=name).values for name in data.protocol.values}


def _module(study: type[Study]) -> str:
    """The module of a study, by the name under which others import it."""
    own = study.__module__
    if own != "__main__":
        return own
    spec = sys.modules[own].__spec__
    return Path(sys.modules[own].__file__ or own).stem if spec is None else spec.name


def by_reference(name: str) -> Study:
    """The study that "module:Class" names."""
    return pkgutil.resolve_name(name)()


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
    kind = type(config)
    steering, later = getattr(kind, "STEERING", ()), getattr(kind, "LATER", ())
    defaults = plain(kind()) if later else {}
    return {
        key: _asked(value)
        for key, value in plain(config).items()
        if key not in steering and not (key in later and value == defaults[key])
    }


def _asked(value: Any) -> Any:
    """With the version of the code that `custom` names; without the key where it names none, as in older units."""
    if not isinstance(value, dict):
        return value
    own = {"custom": _custom.version(value["custom"])} if value.get("custom") else {}
    return {key: _asked(v) for key, v in value.items() if key != "custom"} | own


def units(study: Study, config: Any) -> list[Unit]:
    """Every unit of a study, named by what it computes: the science and its own part of each axis."""
    axes = study.axes(config)
    base = science(config)
    out = []
    for place in study.places(config):
        own = {name: plain(values[place.get(name, slice(None))]) for name, values in axes.items()}
        name = f"{study.name}-{_store.fingerprint(_legacy.identity(base, own))}"
        out.append(Unit(place, name, study.lanes(config, place)))
    return out


def identity(study: Study, config: Any) -> str:
    """What tells one configuration's results from another's."""
    return _store.fingerprint(_legacy.identity(science(config), plain(study.axes(config))))


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
    parts, missing, versions = [], [], set()
    for unit in every:
        found = next((store for store in stores if store.receipt(unit.name) is not None), None)
        if found is None:
            missing.append(unit)
        else:
            parts.append((unit.place, _legacy.modern_unit(found.read(unit.name))))
            versions.add(_store.version(found.receipt(unit.name) or {}))
    if not parts:
        where_to = ", ".join(str(store.directory) for store in stores)
        raise UserError(f"{where_to} holds no finished unit of this configuration; run the study first.")
    data = study.finish(config, _store.assemble(parts, study.axes(config)))
    data.attrs["versions"] = "; ".join(sorted(versions))
    if missing:
        data.attrs["missing"] = "\n".join(f"{unit.name}: {where(study, config, unit)}" for unit in missing)
    return data, missing


def write_results(directory: Path, data: xr.Dataset, attributes: dict[str, Any]) -> str:
    """results.nc, written whole or not at all; returns its SHA-256."""
    content = _store.to_bytes(data.assign_attrs(attributes))
    _store.write_bytes(directory / "results.nc", content)
    return hashlib.sha256(content).hexdigest()


def writable(directory: Path, key: str = "hydra.run.dir") -> None:
    """Refuse a directory that cannot be made or written to; `key` is what chooses it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = _files.temporary(directory / "probe")
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"directory {directory} cannot be written ({error.strerror}). Choose another with {key}=DIR."
        ) from error
