"""One picture of several phase diagrams: any number in the configuration varied along an axis, theory over each.

python -m experiments.comparison vary=task.noise_std grid.values=[0,0.5,1]
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.linear.config import GridConfig
from experiments.phase_diagram import PhaseDiagram, PhaseDiagramConfig
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, UserError, Verdict

DIAGRAM = PhaseDiagram()


@dataclass
class ComparisonGrid(GridConfig):
    """The axes of each diagram, and the values of what is varied."""

    values: list[float] = field(default_factory=lambda: [0.0, 0.2, 0.5, 1.0])  # one diagram each


@dataclass
class ComparisonConfig(PhaseDiagramConfig):
    """Several phase diagrams along one number of the configuration, named by its key."""

    vary: str = "task.noise_std"  # the key that takes grid.values
    grid: ComparisonGrid = field(default_factory=ComparisonGrid)


class Comparison(Study):
    """What changes a phase diagram? Any number of the configuration (noise, depth, norms, source size, decay of the
    spectrum) varied along an axis: one picture, trained networks beside exact forms.
    """

    Config = ComparisonConfig
    apart = PhaseDiagram.apart

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import comparison

        return {"comparison": comparison.comparison}

    def axes(self, config: ComparisonConfig) -> dict[str, np.ndarray]:
        """The values, and the axes that all diagrams share; every variant is checked."""
        each = [DIAGRAM.axes(variant) for variant in variants(config)]
        return {"variant": np.asarray(config.grid.values, dtype=float), **each[0]}

    def places(self, config: ComparisonConfig) -> list[Place]:
        """The units of every diagram."""
        each = [DIAGRAM.places(variant) for variant in variants(config)]
        return [{"variant": slice(i, i + 1), **place} for i, places in enumerate(each) for place in places]

    def lanes(self, config: ComparisonConfig, place: Place) -> int:
        """Training runs in a unit."""
        return DIAGRAM.lanes(*_one(config, place))

    def compute(self, config: ComparisonConfig, place: Place, progress: Progress) -> Arrays:
        """Train one unit of one diagram."""
        arrays = DIAGRAM.compute(*_one(config, place), progress)
        return {name: (("variant", *dims), values[None]) for name, (dims, values) in arrays.items()}

    def finish(self, config: ComparisonConfig, data: xr.Dataset) -> xr.Dataset:
        """Theory and standard errors of every diagram."""
        parts, notes = [], []
        for i, variant in enumerate(variants(config)):
            part = DIAGRAM.finish(variant, data.isel(variant=i, drop=True))
            notes += [f"{label(config.vary, data.variant.values[i])}: {n}" for n in part.attrs["notes"].splitlines()]
            parts.append(part)
        options = {
            "data_vars": "all",
            "coords": "minimal",
            "join": "exact",
            "compat": "equals",
            "combine_attrs": "drop",
        }
        joined = xr.concat(parts, data.variant, **options)
        joined.attrs = {
            "title": _common([part.attrs["title"] for part in parts]),
            "notes": "\n".join(notes),
            "vary": config.vary,
        }
        return joined

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Those of every diagram, named by its value."""
        out = []
        for i, value in enumerate(data.variant.values):
            for verdict in DIAGRAM.verdicts(data.isel(variant=i)):
                out.append(dataclasses.replace(verdict, method=f"{verdict.method}, {label(data.attrs['vary'], value)}"))
        return out

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of each protocol over all diagrams."""
        each = [DIAGRAM.statuses(data.isel(variant=i)) for i in range(data.sizes["variant"])]
        return {name: np.stack([codes[name] for codes in each]) for name in each[0]}


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


def _one(config: ComparisonConfig, place: Place) -> tuple[ComparisonConfig, Place]:
    variant = variants(config)[place["variant"].start]
    return variant, {name: part for name, part in place.items() if name != "variant"}


def _common(titles: list[str]) -> str:
    """What all titles say."""
    return ", ".join(part for part in titles[0].split(", ") if all(part in title.split(", ") for title in titles))


def label(path: str, value: float) -> str:
    """A variant's name: the last part of the key and its value."""
    return f"{path.rpartition('.')[2]} = {value:g}"


if __name__ == "__main__":
    main(Comparison)
