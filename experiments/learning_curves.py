"""Risk over training time: scratch, linear transfer and fine-tuning, and what stopping early is worth.

python -m experiments.learning_curves [overrides]      (--help explains them; -m sweeps)
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.linear import over_time as _over_time
from experiments.linear import setting as _linear
from experiments.linear import theory as _theory
from experiments.linear.config import Engine, GridConfig
from experiments.phase_diagram import CELL, PhaseDiagram, PhaseDiagramConfig, arrays
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, UserError, Verdict
from tlx import stats
from tlx.linear.setting import PENALISED, LinearSetting

FINE = 160  # times of the theory's curves
DECADES = 4  # from the end of training back to the first of an int of times


@dataclass
class LearningCurvesGrid(GridConfig):
    """The axes of the curves: lists, or an int for that many steps (even, over the logarithm for times)."""

    overlap_angles: Any = field(default_factory=lambda: [0.4, 1.2])  # radians in [0, pi]
    sample_ratios: Any = field(default_factory=lambda: [0.5, 0.9, 1.1, 2.0])  # n / dim
    times: Any = 40  # training time = learning_rate * steps / (1 - momentum); an int: up to the end of training


@dataclass
class LearningCurvesConfig(PhaseDiagramConfig):
    """Angle x sample ratio x time x instance x protocol."""

    grid: LearningCurvesGrid = field(default_factory=LearningCurvesGrid)


class LearningCurves(PhaseDiagram):
    """What happens during training, and is it worth stopping early? Risk over time of scratch, linear transfer and
    fine-tuning; engine=flow follows gradient flow itself, spectral and full the descent at their step size.
    """

    Config = LearningCurvesConfig

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import learning_curves

        return {"learning_curves": learning_curves.curves}

    def setting(self, config: LearningCurvesConfig) -> LinearSetting:
        """The frozen settings, times included."""
        chosen = _linear.protocols(config)
        if any(protocol in PENALISED for protocol in chosen):
            raise UserError(
                f"protocols = {config.protocols}: penalised protocols are not watched over time; leave out."
            )
        return dataclasses.replace(super().setting(config), times=tuple(times(config).tolist()))

    def axes(self, config: LearningCurvesConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        return {**super().axes(config), "time": times(config)}

    def compute(self, config: LearningCurvesConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one unit, and look at it at every time."""
        scratch, transfer = self.reports(config, place, progress)
        chosen = self.setting(config).protocols
        rows = {
            "scratch": np.broadcast_to(scratch.risk_over_time[:, :1], transfer.fine_tuning_over_time.shape),  # no angle
            "linear_transfer": transfer.linear_transfer_over_time,
            "fine_tuning": transfer.fine_tuning_over_time,
        }
        curves = np.stack([rows[protocol] for protocol in chosen])
        cell = (*CELL, "time", "instance")  # from (protocol, instance, theta, time)
        over_time = (cell, np.transpose(curves, (0, 2, 3, 1))[:, :, None])
        return {**arrays(chosen, scratch, transfer), "risk_over_time": over_time}

    def finish(self, config: LearningCurvesConfig, data: xr.Dataset) -> xr.Dataset:
        """The phase diagram at the end of training, and over time means, standard errors and the best time to stop."""
        data = super().finish(config, data)
        curves = data.risk_over_time.transpose(*CELL, "time", "instance").values
        _estimates.put(data, (*CELL, "time"), "risk_over_time", stats.estimate(curves))
        best, gain = early_stopping(curves)
        data["best_time"] = (CELL, data.time.values[best])
        data["early_stopping_gain"] = (CELL, gain.mean)
        data["early_stopping_gain_standard_error"] = (CELL, gain.standard_error)
        add_theory(self.setting(config), config.engine.value, data)
        data.time.attrs = {"long_name": "training time, learning_rate * steps / (1 - momentum)"}
        data.risk_over_time.attrs = {"long_name": "excess population risk during training", "units": "label^2"}
        data.attrs["notes"] = "\n".join([data.attrs["notes"], *_findings(data)]).strip()
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors at the end of training, and at every time; scratch is counted once for all angles."""
        out = super().verdicts(data)
        for name in data.protocol.values:
            own = data.z_over_time.sel(protocol=name)
            counts = data.usable_instances.sel(protocol=name)
            if name == "scratch":
                own, counts = own.isel(theta=slice(1)), counts.isel(theta=slice(1))
            where = _estimates.where(data, tuple(map(str, own.dims)))
            out.append(Verdict(f"{name}, over time", own.values, where, int(counts.min())))
        return out


def add_theory(setting: LinearSetting, engine: str, data: xr.Dataset) -> None:
    """The theory of flow, or of the engine's own steps: curves, the best time by it, and z at every time."""
    theta, measured = data.theta.values, data.time.values
    whole = _theory.whole_ratio(setting, data.sample_ratio.values)
    first = measured[measured > 0][0] if (measured > 0).any() else 1.0
    fine = np.unique(np.append(np.geomspace(first, max(measured[-1], first), FINE), measured))
    curve = _over_time.over_time(setting, engine, fine, theta, whole)
    exact = curve[..., np.searchsorted(fine, measured)]
    excess = stats.estimate(
        data.risk_over_time.transpose(*CELL, "time", "instance").values - exact[..., None],
        _estimates.usable(data.status.transpose(*CELL, "instance").values)[..., None, :],
    )
    data.coords["fine_time"] = fine
    data["theory_over_time"] = ((*CELL, "fine_time"), curve)
    data["z_over_time"] = ((*CELL, "time"), stats.z_score(excess, 0.0))
    best = np.argmin(np.where(np.isfinite(curve), curve, np.inf), axis=-1)
    data["theory_best_time"] = (CELL, np.where(np.isfinite(curve).all(-1), fine[best], np.nan))
    data["theory_best_risk"] = (CELL, np.where(np.isfinite(curve).all(-1), curve.min(-1), np.nan))


def times(config: LearningCurvesConfig) -> np.ndarray:
    """grid.times, within what the steps reach."""
    base = _linear.setting(config)
    rules = {"scratch": base.scratch, "optimizer": base.fine_tune}
    ends = {name: r.learning_rate * r.num_steps / (1 - r.momentum) for name, r in rules.items()}
    asked = config.grid.times
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1:
        values = min(ends.values()) * np.geomspace(10.0**-DECADES, 1, asked) if asked > 1 else [min(ends.values())]
    else:
        values = _grid.axis("grid.times", asked, 0.0)
    if np.min(values) < 0:
        raise UserError(f"grid.times holds {np.min(values):g}; training begins at time 0.")
    for name, end in ends.items():
        if config.engine is not Engine.flow and np.max(values) > end * (1 + 1e-9):
            raise UserError(
                f"grid.times holds {np.max(values):g}, but training ends at {name}.learning_rate x num_steps / "
                f"(1 - momentum) = {end:g}; raise {name}.num_steps, or use engine=flow, which takes no steps."
            )
    return np.asarray(values, dtype=float)


def early_stopping(curves: np.ndarray) -> tuple[np.ndarray, stats.Estimate]:
    """The best time of the mean curve, and what stopping saves against the last one; curves (..., time, instance).

    The saving is judged on the half of the instances that did not choose the time: a minimum over noise is no gain.
    """

    def choice(values: np.ndarray) -> np.ndarray:
        mean = stats.estimate(values).mean
        return np.argmin(np.where(np.isfinite(mean), mean, np.inf), axis=-1)

    saved = []
    for chooser, judge in ((curves[..., ::2], curves[..., 1::2]), (curves[..., 1::2], curves[..., ::2])):
        at = choice(chooser)[..., None, None]
        saved.append(judge[..., -1, :] - np.take_along_axis(judge, at, axis=-2)[..., 0, :])
    return choice(curves), stats.estimate(np.concatenate(saved, axis=-1))


def _findings(data: xr.Dataset) -> list[str]:
    """What stopping early is worth, protocol by protocol."""
    lines = []
    for protocol in data.protocol.values:
        gain, error, end = (
            data[name].sel(protocol=protocol).values
            for name in ("early_stopping_gain", "early_stopping_gain_standard_error", "risk_mean")
        )
        if not np.isfinite(gain).any():
            continue
        at = np.unravel_index(np.nanargmax(gain), gain.shape)
        where = f"theta = {data.theta.values[at[0]]:.3g}, n/d = {data.sample_ratio.values[at[1]]:.3g}"
        time = data.best_time.sel(protocol=protocol).values[at]
        lines.append(
            f"{protocol}: stopping at the best time is worth most at {where}: {gain[at]:.3g} ± {error[at]:.2g} of "
            f"{end[at]:.3g}, at t = {time:.3g} (the time is chosen on one half of the instances, judged on the other)."
        )
    return lines


if __name__ == "__main__":
    main(LearningCurves)
