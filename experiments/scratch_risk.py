"""Double descent: risk of training from scratch against the sample ratio, for several weight decays.

python -m experiments.scratch_risk [overrides]
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import numpy as np
import xarray as xr

from experiments.linear import setting as _linear
from experiments.linear import theory as _theory
from experiments.linear.config import Engine, LinearStudyConfig
from experiments.linear.study import LinearStudy, notes
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Verdict
from tlx import stats
from tlx.linear import lanes

CELL = ("weight_decay", "sample_ratio")


@dataclass
class ScratchGrid:
    """Sample ratios only: training from scratch knows no angle."""

    sample_ratios: Any = 20  # n / dim: a list, or an int for that many even steps up to 2


@dataclass
class ScratchRiskConfig(LinearStudyConfig):
    """Double descent of training from scratch: sample ratio x weight decay x instance."""

    grid: ScratchGrid = field(default_factory=ScratchGrid)


class ScratchRisk(LinearStudy):
    """When does more data hurt? Double descent of training from scratch, and what weight decay does to it: sample
    ratio x weight decay x instance, trained networks beside exact and asymptotic forms.
    """

    Config = ScratchRiskConfig
    runs_along = ("instance", "weight_decay")
    instances_per_unit: ClassVar[dict[Engine, int]] = dict.fromkeys(Engine, 20)

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import scratch_risk

        return {"scratch_risk": scratch_risk.double_descent, "best_weight_decay": scratch_risk.best_decay}

    def axes(self, config: ScratchRiskConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        return {
            "weight_decay": np.asarray(self.setting(config).weight_decays, dtype=float),
            "sample_ratio": _linear.sample_ratios(config.grid.sample_ratios, config.task.dim),
            "instance": _grid.instances(config.ensemble),
        }

    def compute(self, config: ScratchRiskConfig, place: Place, progress: Progress) -> Arrays:
        """Train one unit's data sets, once per weight decay."""
        own = _grid.part(self.axes(config), place)
        report = lanes.scratch_lanes(
            config.engine.value,
            self.setting(config),
            jax.random.key(config.seed),
            own["instance"],
            _linear.sample_counts(own["sample_ratio"], config.task.dim),
            layout=_grid.layout(config.ensemble, len(own["instance"])),
            progress=lambda done, total: progress(done * len(config.scratch.weight_decays)),
        )
        cell = (*CELL, "instance")
        return {
            "risk": (cell, report.risk.T[:, None]),
            "status": (cell, report.status.T[:, None].astype(np.int8)),
            "num_steps": (cell, report.num_steps.T[:, None].astype(np.int32)),
            "stable_learning_rate": (("sample_ratio", "instance"), report.stable_learning_rate[None]),
        }

    def finish(self, config: ScratchRiskConfig, data: xr.Dataset) -> xr.Dataset:
        """Theory beside the measurement, and standard errors."""
        setting, ratios, decays = self.setting(config), data.sample_ratio.values, data.weight_decay.values
        draws = _theory.Draws(config.seed, config.ensemble.num_instances)
        fine = np.linspace(ratios.min(), ratios.max(), 401)
        counts = _linear.sample_counts(ratios, config.task.dim)
        data = data.assign_coords(num_samples=("sample_ratio", counts), fine_ratio=fine)
        exact = _theory.scratch(setting, decays, _theory.whole_ratio(setting, ratios), draws)
        _estimates.add(data)
        measured = stats.Estimate(data.risk_mean.values, data.risk_standard_error.values, data.usable_instances.values)
        data["theory"], data["z"] = (CELL, exact), (CELL, stats.z_score(measured, exact))
        curve = _theory.scratch(setting, decays, fine, draws)
        data["theory_curve"] = (("weight_decay", "fine_ratio"), curve)
        data["optimal_ridge_curve"] = ("fine_ratio", _theory.optimal_ridge(setting, fine))
        data["optimal_weight_decay"] = ("fine_ratio", _theory.optimal_weight_decay(setting, fine))
        least = np.where(np.isfinite(data.risk_mean), data.risk_mean, np.inf).argmin(0)
        data["best_weight_decay"] = ("sample_ratio", decays[least])
        data.attrs["title"] = _linear.title(config)
        data.attrs["notes"] = "\n".join(notes(data, {"scratch": data.status.values}))
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors from the closed form, one row a weight decay."""
        return _estimates.verdicts(data, "weight_decay")

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes by weight decay."""
        return {f"weight decay {w:g}": data.status.values[i] for i, w in enumerate(data.weight_decay.values)}


if __name__ == "__main__":
    main(ScratchRisk)
