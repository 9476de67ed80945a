"""One picture of several phase diagrams: any number in the configuration varied along an axis, theory over each.

python -m experiments.comparison vary=task.noise_std grid.values=[0,0.5,1]
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from experiments import phase_diagram
from experiments.figures import comparison as figures
from experiments.linear.config import ComparisonConfig
from experiments.running import app as _app
from experiments.running.store import Arrays
from experiments.running.study import Place, Study, UserError, Verdict


def replaced(config: Any, path: str, value: float) -> Any:
    """The configuration with one number, named by its dotted path, set to `value` (an int stays one)."""
    head, _, rest = path.partition(".")
    names = [field.name for field in dataclasses.fields(config)]
    if head not in names:
        raise UserError(
            f"vary names {head!r}, which is not one of {', '.join(names)}; give a key such as task.noise_std."
        )
    old = getattr(config, head)
    if rest:
        if not dataclasses.is_dataclass(old):
            raise UserError(f"vary = {path!r} goes on after {head}, which is a single value.")
        return dataclasses.replace(config, **{head: replaced(old, rest, value)})
    if isinstance(old, bool) or not isinstance(old, int | float | None):
        raise UserError(f"vary ends at {head} = {old!r}, which is not a number; only numbers can be varied.")
    if isinstance(old, int) and value != int(value):
        raise UserError(f"grid.values holds {value:g}, but {head} is a whole number.")
    return dataclasses.replace(config, **{head: int(value) if isinstance(old, int) else float(value)})


def variants(config: ComparisonConfig) -> list[ComparisonConfig]:
    """One phase diagram's configuration per value."""
    values = list(config.grid.values)
    if not values or len(set(values)) != len(values):
        raise UserError(f"grid.values = {values} must hold at least one number, each once.")
    return [replaced(config, config.vary, value) for value in values]


def axes(config: ComparisonConfig) -> dict[str, np.ndarray]:
    """The values, and the axes that all diagrams share; every variant is checked."""
    each = [phase_diagram.axes(variant) for variant in variants(config)]
    return {"variant": np.asarray(config.grid.values, dtype=float), **each[0]}


def places(config: ComparisonConfig) -> list[Place]:
    """The units of every diagram."""
    return [
        {"variant": slice(i, i + 1), **place}
        for i, variant in enumerate(variants(config))
        for place in phase_diagram.places(variant)
    ]


def _one(config: ComparisonConfig, place: Place) -> tuple[ComparisonConfig, Place]:
    variant = variants(config)[place["variant"].start]
    return variant, {name: part for name, part in place.items() if name != "variant"}


def lanes(config: ComparisonConfig, place: Place) -> int:
    """Training runs in a unit."""
    return phase_diagram.lanes(*_one(config, place))


def compute(config: ComparisonConfig, place: Place, progress: Callable[[int], None]) -> Arrays:
    """Train one unit of one diagram."""
    arrays = phase_diagram.compute(*_one(config, place), progress)
    return {name: (("variant", *dims), values[None]) for name, (dims, values) in arrays.items()}


def finish(config: ComparisonConfig, data: xr.Dataset) -> xr.Dataset:
    """Theory and standard errors of every diagram."""
    parts, notes = [], []
    for i, variant in enumerate(variants(config)):
        part = phase_diagram.finish(variant, data.isel(variant=i, drop=True))
        notes += [f"{label(config.vary, data.variant.values[i])}: {n}" for n in part.attrs["notes"].splitlines()]
        parts.append(part)
    options = {"data_vars": "all", "coords": "minimal", "join": "exact", "compat": "equals", "combine_attrs": "drop"}
    joined = xr.concat(parts, data.variant, **options)
    joined.attrs = {
        "title": _common([part.attrs["title"] for part in parts]),
        "notes": "\n".join(notes),
        "vary": config.vary,
    }
    return joined


def _common(titles: list[str]) -> str:
    """What all titles say."""
    return ", ".join(part for part in titles[0].split(", ") if all(part in title.split(", ") for title in titles))


def label(path: str, value: float) -> str:
    """A variant's name: the last part of the key and its value."""
    return f"{path.rpartition('.')[2]} = {value:g}"


def verdicts(data: xr.Dataset) -> list[Verdict]:
    """Those of every diagram, named by its value."""
    out = []
    for i, value in enumerate(data.variant.values):
        for verdict in phase_diagram.verdicts(data.isel(variant=i)):
            out.append(dataclasses.replace(verdict, method=f"{verdict.method}, {label(data.attrs['vary'], value)}"))
    return out


def statuses(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Status codes of each method over all diagrams."""
    each = [phase_diagram.statuses(data.isel(variant=i)) for i in range(data.sizes["variant"])]
    return {method: np.stack([codes[method] for codes in each]) for method in each[0]}


STUDY = Study(
    name="comparison",
    axes=axes,
    places=places,
    lanes=lanes,
    compute=compute,
    finish=finish,
    verdicts=verdicts,
    statuses=statuses,
    figures={"comparison": figures.comparison},
)

if __name__ == "__main__":
    _app.main("comparison")
