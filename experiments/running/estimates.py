"""Means, standard errors and distances from theory of an assembled data set: all statistics that figures show."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from experiments.running.study import Verdict
from tlx import stats
from tlx.train import Status

SHORT = {"theta": "theta", "sample_ratio": "n/d", "num_samples": "n", "time": "t", "step": "step"}


def usable(status: np.ndarray) -> np.ndarray:
    """Lanes whose numbers mean something (missing cells, -1, do not)."""
    return (status == Status.CONVERGED) | (status == Status.MAX_STEPS)


def add(data: xr.Dataset, prefix: str = "", instance: str = "instance") -> None:
    """Add mean, standard error and usable instances of the risk, and of the gain over scratch, protocol by protocol.

    Reads `<prefix>risk` and `<prefix>status`, whose first dimension is `protocol` (scratch first) and last `instance`;
    lanes that failed are left out, with their pair of a difference.
    """
    risk, good = data[f"{prefix}risk"], usable(data[f"{prefix}status"].values)
    assert risk.dims[-1] == instance
    cell = risk.dims[:-1]
    put(data, cell, f"{prefix}risk", stats.estimate(risk.values, good), count=f"{prefix}usable_instances")
    if cell[0] == "protocol":
        gain = stats.estimate(risk.values[:1] - risk.values, good & good[:1])
        data[f"{prefix}transferability"] = (cell, gain.mean)
        data[f"{prefix}transferability_standard_error"] = (cell, gain.standard_error)


def put(data: xr.Dataset, cell: tuple, name: str, found: stats.Estimate, count: str = "") -> None:
    """Store an estimate as `<name>_mean` and `<name>_standard_error`, and its count where that has a name."""
    data[f"{name}_mean"], data[f"{name}_standard_error"] = (cell, found.mean), (cell, found.standard_error)
    if count:
        data[count] = (cell, found.count)


def where(data: xr.Dataset, dims: tuple[str, ...]) -> Callable[[tuple[int, ...]], str]:
    """Names a cell by its coordinates on `dims`."""

    def cell(at: tuple[int, ...]) -> str:
        values = [(SHORT.get(dim, dim), data[dim].values[i]) for dim, i in zip(dims, at, strict=True)]
        return ", ".join(f"{name} = {value:.3g}" if name != "n" else f"n = {value}" for name, value in values)

    return cell


def verdicts(
    data: xr.Dataset, dim: str = "protocol", blind: dict[str, str] | None = None, *, compared: bool = False
) -> list[Verdict]:
    """Standard errors from theory along `dim`, over the cells whose every lane converged.

    Args:
        data: holds z, usable_instances and status, with `dim` first.
        blind: name along `dim` -> a dimension it does not know, along which it is counted once.
        compared: z is that of the steps which each lane took, so cells whose steps ran out count too.
    """
    good = usable(data.status.values) if compared else data.status.values == Status.CONVERGED
    converged = data.status.copy(data=good).all("instance")
    clear = data.z.where(converged)
    out = []
    for name in data[dim].values:
        own, counts = clear.sel({dim: name}), data.usable_instances.sel({dim: name})
        unknown = (blind or {}).get(str(name))
        if unknown:
            own, counts = own.isel({unknown: 0}), counts.isel({unknown: 0})
        seen = counts.values[np.isfinite(own.values)]
        fewest = int(seen.min()) if seen.size else 0
        shown = str(name) if dim == "protocol" else f"{dim.replace('_', ' ')} {name:g}"
        out.append(Verdict(shown, own.values, where(data, tuple(map(str, own.dims))), fewest))
    return out
