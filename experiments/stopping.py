"""Where does transfer help when everything is stopped at its best time? A phase diagram of early stopping.

python -m experiments.stopping [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.learning_curves import LearningCurves, LearningCurvesConfig, LearningCurvesGrid
from experiments.linear import theory as _theory
from experiments.linear.config import Engine, NetworkConfig, OptimizerConfig, Pretraining, PretrainingConfig, TaskConfig
from experiments.linear.halves import judged
from experiments.phase_diagram import CELL
from experiments.running import estimates as _estimates
from experiments.running.app import main
from experiments.running.config import EnsembleConfig
from experiments.running.study import Verdict
from tlx import stats, theory
from tlx.linear.setting import LinearSetting

FINE_ANGLES = 25
TIMES = [float(t) for t in np.unique(np.round(np.geomspace(0.04, 30, 44), 2))]  # even in the logarithm


@dataclass
class StoppingGrid(LearningCurvesGrid):
    """The axes of the diagram, and the times among which the best is chosen."""

    overlap_angles: Any = 9  # radians in [0, pi]: a list, or an int for even steps up to pi/2
    sample_ratios: Any = field(default_factory=lambda: [0.3, 0.5, 0.8, 1.4])  # n / dim
    times: Any = field(default_factory=lambda: TIMES)  # training times among which the best is chosen


@dataclass
class StoppingConfig(LearningCurvesConfig):
    """Angle x sample ratio x instance x protocol, each stopped at its best time."""

    engine: Engine = Engine.spectral
    task: TaskConfig = field(default_factory=lambda: TaskConfig(noise_std=0.5))
    # a start that leaves the saddle soon: when it does is chance, and blurs the best time of training from scratch
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(init_scale=1e-2))
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=0.02, num_steps=1500))
    pretraining: PretrainingConfig = field(default_factory=lambda: PretrainingConfig(mode=Pretraining.limit))
    grid: StoppingGrid = field(default_factory=StoppingGrid)
    ensemble: EnsembleConfig = field(default_factory=lambda: EnsembleConfig(num_instances=32))


class Stopping(LearningCurves):
    """Where does transfer help when everything is stopped at its best time? Both sides of the comparison are stopped
    where their risk is least: the boundary of fine-tuning returns to about 60 degrees, which its end has left.
    """

    Config = StoppingConfig

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import stopping

        return {"stopping": stopping.diagram}

    def finish(self, config: StoppingConfig, data: xr.Dataset) -> xr.Dataset:
        """The learning curves, each read at its best time: chosen on one half of the instances, judged on the other."""
        data = super().finish(config, data)
        curves = data.risk_over_time.transpose(*CELL, "time", "instance").values
        good = _estimates.usable(data.status.transpose(*CELL, "instance").values)
        risk = judged(np.where(good[..., None, :], curves, np.nan))
        data["stopped_risk"] = ((*CELL, "judge"), risk)
        found, gain = stats.estimate(risk), stats.estimate(risk[:1] - risk)
        _estimates.put(data, CELL, "stopped_risk", found)
        _estimates.put(data, CELL, "stopped_transferability", gain)
        data["z_stopped"] = (CELL, stats.z_score(found, data.theory_best_risk.values))
        add_boundary(self.setting(config), data)
        data.attrs["notes"] = "\n".join([data.attrs["notes"], *_findings(data)]).strip()
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors from the least risk of theory, and of the break-even angle of fine-tuning."""
        out = []
        for name in data.protocol.values:
            own, count = data.z_stopped.sel(protocol=name), data.usable_instances.sel(protocol=name)
            if name == "scratch":
                own, count = own.isel(theta=slice(1)), count.isel(theta=slice(1))
            where = _estimates.where(data, tuple(map(str, own.dims)))
            out.append(Verdict(f"{name}, stopped at its best", own.values, where, int(count.min())))
        angle = data.z_break_even
        where = _estimates.where(data, ("sample_ratio",))
        return [*out, Verdict("break-even angle, stopped", angle.values, where, int(data.sizes["instance"]))]


def crossing(theta: np.ndarray, gain: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """The angle at which a gain turns negative, on the line through the two angles around it, with its error."""
    signs = np.isfinite(gain[:-1]) & np.isfinite(gain[1:]) & (gain[:-1] > 0) & (gain[1:] <= 0)
    if not signs.any():
        return np.nan, np.nan
    at = int(np.argmax(signs))
    slope = (gain[at + 1] - gain[at]) / (theta[at + 1] - theta[at])
    return theta[at] - gain[at] / slope, float(np.mean(error[at : at + 2])) / abs(slope)


def add_boundary(setting: LinearSetting, data: xr.Dataset) -> None:
    """Break-even angles of fine-tuning, measured and by theory, and theory's transferability on a fine field."""
    theta = data.theta.values
    ratio = _theory.whole_ratio(setting, data.sample_ratio.values)
    tuned = data.sel(protocol="fine_tuning")
    gain, error = (tuned[f"stopped_transferability_{kind}"].values for kind in ("mean", "standard_error"))
    found = np.array([crossing(theta, gain[:, j], error[:, j]) for j in range(len(ratio))])
    norms = {"target_norm": setting.target_norm, "source_norm": setting.source_norm, "depth": setting.depth}
    source = _theory.source_of(setting) | {"depth": setting.depth, "init_scale": setting.init_scale}
    exact = theory.stopped_break_even_angle("fine_tuning", ratio, setting.noise_std, **source)
    at_end = theory.break_even_angle("fine_tuning", np.minimum(ratio, 0.999), setting.noise_std, **norms)
    fine = np.linspace(theta[0], theta[-1], FINE_ANGLES)
    fields = [np.zeros((fine.size, ratio.size))] + [
        theory.stopped_transferability(
            name, fine[:, None], ratio[None, :], setting.noise_std, num_samples=ratio * setting.dim, **source
        )
        for name in ("linear_transfer", "fine_tuning")
    ]
    data.coords["fine_angle"] = fine
    names = ["scratch", "linear_transfer", "fine_tuning"]
    field = np.stack([np.asarray(fields[names.index(str(p))], float) for p in data.protocol.values])
    data["stopped_transferability_field"] = (("protocol", "fine_angle", "sample_ratio"), field)
    data["break_even_angle"] = ("sample_ratio", found[:, 0])
    data["break_even_angle_standard_error"] = ("sample_ratio", found[:, 1])
    data["theory_break_even_angle"] = ("sample_ratio", np.asarray(exact, float))
    data["theory_break_even_angle_at_the_end"] = (
        "sample_ratio",
        np.where(ratio < 1, np.asarray(at_end, float), np.nan),
    )
    count = np.full(ratio.shape, data.sizes["instance"])
    measured = stats.Estimate(found[:, 0], found[:, 1], count)
    data["z_break_even"] = ("sample_ratio", stats.z_score(measured, data.theory_break_even_angle.values))


def _findings(data: xr.Dataset) -> list[str]:
    """The boundary of fine-tuning in degrees, stopped and at the end."""
    lines = []
    for j, ratio in enumerate(data.sample_ratio.values):
        one = data.isel(sample_ratio=j)
        if not np.isfinite(one.break_even_angle):
            continue
        end = float(np.degrees(one.theory_break_even_angle_at_the_end))
        lines.append(
            f"n/d = {ratio:.3g}: both stopped at their best, fine-tuning breaks even at "
            f"{np.degrees(float(one.break_even_angle)):.1f} ± "
            f"{np.degrees(float(one.break_even_angle_standard_error)):.1f} degrees (theory "
            f"{np.degrees(float(one.theory_break_even_angle)):.1f}"
            + (f"; at the end of training {end:.1f})." if np.isfinite(end) else ").")
        )
    return lines


if __name__ == "__main__":
    main(Stopping)
