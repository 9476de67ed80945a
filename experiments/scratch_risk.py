"""Double descent: risk of training from scratch against the sample ratio, for several weight decays.

python -m experiments.scratch_risk [overrides]
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.figures import scratch_risk as figures
from experiments.linear import setting as _linear
from experiments.linear import theory as _linear_theory
from experiments.linear.config import ScratchRiskConfig
from experiments.running import app as _app
from experiments.running.store import Arrays
from experiments.running.study import Place, Study, Verdict
from tlx import ensemble, stats
from tlx.train import Status

CELL = ("weight_decay", "sample_ratio")


def axes(config: ScratchRiskConfig) -> dict[str, np.ndarray]:
    """Coordinates, and with them every check of the configuration."""
    setting = _linear.setting(config)
    _linear.check_engine(config)
    return {
        "weight_decay": np.asarray(setting.weight_decays, dtype=float),
        "sample_ratio": _linear.sample_ratios(config.grid.sample_ratios, config.task.dim),
        "instance": _linear.instances(config.ensemble),
    }


def places(config: ScratchRiskConfig) -> list[Place]:
    """One unit per sample ratio and block of instances, with every weight decay."""
    ratios = _linear.sample_ratios(config.grid.sample_ratios, config.task.dim)
    return _linear.places(ratios, _linear.instance_blocks(config.ensemble, 20))


def lanes(config: ScratchRiskConfig, place: Place) -> int:
    """Training runs in a unit."""
    return len(_linear.instances(config.ensemble)[place["instance"]]) * len(config.scratch.weight_decays)


def compute(config: ScratchRiskConfig, place: Place, progress: Callable[[int], None]) -> Arrays:
    """Train one unit's data sets, once per weight decay."""
    own = {name: values[place.get(name, slice(None))] for name, values in axes(config).items()}
    counts = _linear.sample_counts(own["sample_ratio"], config.task.dim)
    lane = {"instance": own["instance"].astype(np.int32), "num_samples": np.repeat(counts, len(own["instance"]))}
    report = ensemble.run(
        _linear.scratch_program(config.engine),
        lane,
        (_linear.setting(config), jax.random.key(config.seed)),
        layout=_linear.layout(config.ensemble, len(own["instance"])),
        progress=lambda done, total: progress(done * len(config.scratch.weight_decays)),
    )
    cell = (*CELL, "instance")
    return {
        "risk": (cell, report.risk.T[:, None]),
        "status": (cell, report.status.T[:, None].astype(np.int8)),
        "num_steps": (cell, report.num_steps.T[:, None].astype(np.int32)),
        "stable_learning_rate": (("sample_ratio", "instance"), report.stable_learning_rate[None]),
    }


def finish(config: ScratchRiskConfig, data: xr.Dataset) -> xr.Dataset:
    """Theory beside the measurement, and standard errors."""
    ratios = data.sample_ratio.values
    data = data.assign_coords(num_samples=("sample_ratio", _linear.sample_counts(ratios, config.task.dim)))
    whole = _linear_theory.whole_ratio(config.task, ratios)
    data["theory"] = (CELL, _linear_theory.scratch(config, data.weight_decay.values, whole))
    fine = np.linspace(ratios.min(), ratios.max(), 401)
    data = data.assign_coords(fine_ratio=fine)
    data["theory_curve"] = (
        ("weight_decay", "fine_ratio"),
        _linear_theory.scratch(config, data.weight_decay.values, fine),
    )
    data["optimal_ridge_curve"] = ("fine_ratio", _linear_theory.optimal_ridge(config, fine))
    measured = stats.estimate(data.risk.values, _linear.usable(data.status.values))
    data["risk_mean"] = (CELL, measured.mean)
    data["risk_standard_error"] = (CELL, measured.standard_error)
    data["usable_instances"] = (CELL, measured.count)
    data.attrs["title"] = _linear.title(config)
    data.attrs["notes"] = _linear.notes(config, data.expand_dims({"method": ["scratch"]}))
    return data


def verdicts(data: xr.Dataset) -> list[Verdict]:
    """Standard errors from the closed form, one row a weight decay, over cells whose every lane converged."""
    converged = (data.status == Status.CONVERGED).all("instance").values
    measured = stats.Estimate(data.risk_mean.values, data.risk_standard_error.values, data.usable_instances.values)
    z = np.where(converged, stats.z_score(measured, data.theory.values), np.nan)
    out = []
    for i, decay in enumerate(data.weight_decay.values):
        counts = measured.count[i][np.isfinite(z[i])]

        def cell(at: tuple[int, ...]) -> str:
            return f"n/d = {data.sample_ratio.values[at[0]]:.3g}"

        out.append(Verdict(f"scratch, weight decay {decay:g}", z[i], cell, int(counts.min()) if counts.size else 0))
    return out


def statuses(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Status codes by weight decay."""
    return {f"weight decay {w:g}": data.status.values[i] for i, w in enumerate(data.weight_decay.values)}


STUDY: Any = Study(
    name="scratch_risk",
    axes=axes,
    places=places,
    lanes=lanes,
    compute=compute,
    finish=finish,
    verdicts=verdicts,
    statuses=statuses,
    figures={"scratch_risk": figures.double_descent},
)

if __name__ == "__main__":
    _app.main("scratch_risk")
