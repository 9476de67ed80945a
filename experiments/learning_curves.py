"""Risk over training time: scratch, linear transfer and fine-tuning, and what stopping early is worth.

python -m experiments.learning_curves [overrides]      (--help explains them; -m sweeps)

engine=flow follows gradient flow itself, engine=spectral and engine=full the descent at their step size.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import xarray as xr

from experiments import phase_diagram
from experiments.figures import learning_curves as figures
from experiments.linear import setting as _linear
from experiments.linear.config import Engine, LearningCurvesConfig
from experiments.running import app as _app
from experiments.running.store import Arrays
from experiments.running.study import Place, Study, UserError
from tlx import stats
from tlx.linear.setting import LinearSetting

CELL = ("method", "theta", "sample_ratio")
DECADES = 4  # from the end of training back to the first of an int of times


def setting(config: LearningCurvesConfig) -> LinearSetting:
    """The frozen settings, times included."""
    return dataclasses.replace(_linear.setting(config), times=tuple(times(config).tolist()))


def times(config: LearningCurvesConfig) -> np.ndarray:
    """grid.times, within what the steps reach."""
    base = _linear.setting(config)
    rules = {"scratch": base.scratch, "optimizer": base.fine_tune}
    ends = {name: r.learning_rate * r.num_steps / (1 - r.momentum) for name, r in rules.items()}
    asked = config.grid.times
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1:
        values = min(ends.values()) * np.geomspace(10.0**-DECADES, 1, asked) if asked > 1 else [min(ends.values())]
    else:
        values = _linear.axis("grid.times", asked, 0.0)
    if np.min(values) < 0:
        raise UserError(f"grid.times holds {np.min(values):g}; training begins at time 0.")
    for name, end in ends.items():
        if config.engine is not Engine.flow and np.max(values) > end * (1 + 1e-9):
            raise UserError(
                f"grid.times holds {np.max(values):g}, but training ends at {name}.learning_rate x num_steps / "
                f"(1 - momentum) = {end:g}; raise {name}.num_steps, or use engine=flow, which takes no steps."
            )
    return np.asarray(values, dtype=float)


def axes(config: LearningCurvesConfig) -> dict[str, np.ndarray]:
    """Coordinates, and with them every check of the configuration."""
    return {**phase_diagram.axes(config), "time": times(config)}


def compute(config: LearningCurvesConfig, place: Place, progress: Callable[[int], None]) -> Arrays:
    """Train every pair of one unit, and look at it at every time."""
    scratch, transfer = phase_diagram.reports(config, setting(config), place, progress)
    alone = np.broadcast_to(scratch.risk_over_time[:, :1], transfer.fine_tuning_over_time.shape)  # knows no angle
    curves = np.stack([alone, transfer.linear_transfer_over_time, transfer.fine_tuning_over_time])
    cell = ("method", "theta", "sample_ratio", "time", "instance")  # from (method, instance, theta, time)
    return {
        **phase_diagram.arrays(scratch, transfer),
        "risk_over_time": (cell, np.transpose(curves, (0, 2, 3, 1))[:, :, None]),
    }


def finish(config: LearningCurvesConfig, data: xr.Dataset) -> xr.Dataset:
    """The phase diagram at the end of training, and over time means, standard errors and the best time to stop."""
    data = phase_diagram.finish(config, data)
    curves = data.risk_over_time.transpose(*CELL, "time", "instance").values
    measured = stats.estimate(curves)
    data["risk_over_time_mean"] = ((*CELL, "time"), measured.mean)
    data["risk_over_time_standard_error"] = ((*CELL, "time"), measured.standard_error)
    best, gain = early_stopping(curves)
    data["best_time"] = (CELL, data.time.values[best])
    data["early_stopping_gain"] = (CELL, gain.mean)
    data["early_stopping_gain_standard_error"] = (CELL, gain.standard_error)
    data.time.attrs = {"long_name": "training time, learning_rate * steps / (1 - momentum)"}
    data.risk_over_time.attrs = {"long_name": "excess population risk during training", "units": "label^2"}
    data.attrs["notes"] = "\n".join([data.attrs["notes"], *_findings(data)]).strip()
    return data


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
    """What stopping early is worth, method by method."""
    lines = []
    for method in data.method.values:
        gain, error, end = (
            data[name].sel({"method": method}).values
            for name in ("early_stopping_gain", "early_stopping_gain_standard_error", "risk_mean")
        )
        if not np.isfinite(gain).any():
            continue
        at = np.unravel_index(np.nanargmax(gain), gain.shape)
        where = f"theta = {data.theta.values[at[0]]:.3g}, n/d = {data.sample_ratio.values[at[1]]:.3g}"
        time = data.best_time.sel({"method": method}).values[at]
        lines.append(
            f"{method}: stopping at the best time is worth most at {where}: {gain[at]:.3g} ± {error[at]:.2g} of "
            f"{end[at]:.3g}, at t = {time:.3g} (the time is chosen on one half of the instances, judged on the other)."
        )
    return lines


STUDY = Study(
    name="learning_curves",
    axes=axes,
    places=phase_diagram.places,
    lanes=phase_diagram.lanes,
    compute=compute,
    finish=finish,
    verdicts=phase_diagram.verdicts,
    statuses=phase_diagram.statuses,
    figures={"learning_curves": figures.curves},
)

if __name__ == "__main__":
    _app.main("learning_curves")
