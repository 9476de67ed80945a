"""What do mini-batches change? Risk and the balance factor of fine-tuning over time, against the batch size.

python -m experiments.sgd [overrides]      (--help explains them; -m sweeps)
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.learning_curves import LearningCurvesGrid, times
from experiments.linear import setting as _linear
from experiments.linear import theory as _theory
from experiments.linear.config import (
    Engine,
    LinearStudyConfig,
    OptimizerConfig,
    Pretraining,
    PretrainingConfig,
    SgdConfig,
    TaskConfig,
)
from experiments.linear.watched import WatchedStudy
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.config import EnsembleConfig
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, UserError, Verdict
from tlx import stats, theory
from tlx.linear.setting import LinearSetting

CELL = ("batch_size", "theta", "sample_ratio")
MEASURES = ("risk", "balance")


@dataclass
class SgdGrid(LearningCurvesGrid):
    """The axes of the curves."""

    batch_sizes: Any = field(default_factory=lambda: [2, 8, 0])  # rows a step; 0: the whole sample
    overlap_angles: Any = field(default_factory=lambda: [0.8])  # radians in [0, pi]
    sample_ratios: Any = field(default_factory=lambda: [0.5])  # n / dim
    times: Any = field(default_factory=lambda: [0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0])  # learning_rate * steps


@dataclass
class SgdStudyConfig(LinearStudyConfig):
    """Batch size x angle x sample ratio x time x instance."""

    engine: Engine = Engine.spectral
    task: TaskConfig = field(default_factory=lambda: TaskConfig(noise_std=1.0))
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(learning_rate=0.002, num_steps=4000, tolerance=0.0)
    )
    pretraining: PretrainingConfig = field(default_factory=lambda: PretrainingConfig(mode=Pretraining.limit))
    grid: SgdGrid = field(default_factory=SgdGrid)
    ensemble: EnsembleConfig = field(default_factory=lambda: EnsembleConfig(num_instances=40))


class Sgd(WatchedStudy):
    """What do mini-batches change? Fine-tuning over time at several batch sizes: the risk that gradient noise adds, and
    the balance that it breaks, beside the theory of stochastic gradient descent; gradient flow is rejected.
    """

    Config = SgdStudyConfig
    way = "batch_size"
    runs_along = ("batch_size", "theta", "instance")

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import sgd

        return {"sgd": sgd.curves}

    def setting(self, config: SgdStudyConfig) -> LinearSetting:
        """The frozen settings, times included."""
        return dataclasses.replace(super().setting(config), times=tuple(times(config).tolist()))

    def axes(self, config: SgdStudyConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        if config.optimizer.momentum:
            raise UserError(
                f"optimizer.momentum = {config.optimizer.momentum}: mini-batches with it have no form; use 0."
            )
        sizes = np.asarray(config.grid.batch_sizes)
        ratios = _linear.sample_ratios(config.grid.sample_ratios, config.task.dim)
        fewest = _linear.sample_counts(ratios, config.task.dim).min()
        whole = (
            sizes.ndim == 1 and sizes.dtype.kind in "iu" and sizes.size > 0 and len(set(sizes.tolist())) == sizes.size
        )
        if not whole or sizes.min() < 0 or sizes.max() > fewest:
            raise UserError(
                f"grid.batch_sizes = {config.grid.batch_sizes} must be distinct whole numbers, from 0 for the whole "
                f"sample to {fewest}, the smallest sample."
            )
        for size in sizes:
            self.setting(self.variant(config, int(size)))
        return {
            "batch_size": sizes,
            "theta": _linear.overlap_angles(config.grid.overlap_angles),
            "sample_ratio": ratios,
            "time": times(config),
            "instance": _grid.instances(config.ensemble),
        }

    def variant(self, config: SgdStudyConfig, way: int) -> SgdStudyConfig:
        """The configuration at one batch size."""
        return dataclasses.replace(config, sgd=SgdConfig(way or None, config.sgd.replacement))

    def compute(self, config: SgdStudyConfig, place: Place, progress: Progress) -> Arrays:
        """Fine-tune every pair of one unit."""
        report = self.watch(config, place, progress)
        cell = (*CELL, "time", "instance")  # from (theta, instance, time)
        curves = {"risk_over_time": report.risk_over_time, "balance_over_time": report.balance_over_time}
        found = {name: (cell, values.transpose(0, 2, 1)[None, :, None]) for name, values in curves.items()}
        return {**found, "status": ((*CELL, "instance"), report.status[None, :, None].astype(np.int8))}

    def finish(self, config: SgdStudyConfig, data: xr.Dataset) -> xr.Dataset:
        """Theory of the very steps, and of gradient flow, beside means and standard errors."""
        good = _estimates.usable(data.status.values)[..., None, :]
        setting, along = self.setting(config), (*CELL, "time")
        whole = _theory.whole_ratio(setting, data.sample_ratio.values)
        fine = np.unique(np.append(np.geomspace(data.time.values[0], data.time.values[-1], 80), data.time.values))
        data = data.assign_coords(fine_time=fine)
        at = np.searchsorted(fine, data.time.values)
        for name in MEASURES:
            found = stats.estimate(data[f"{name}_over_time"].values, good)
            _estimates.put(data, along, f"{name}_over_time", found, count=f"usable_{name}")
            rows = [curve(name, setting, int(b), fine, data.theta.values, whole) for b in data.batch_size.values]
            flow = curve(name, setting, None, fine, data.theta.values, whole)
            data[f"theory_{name}"] = ((*CELL, "fine_time"), np.stack(rows))
            data[f"flow_{name}"] = ((*CELL[1:], "fine_time"), flow)
            data[f"z_{name}"] = (along, stats.z_score(found, np.stack(rows)[..., at]))
            data[f"z_flow_{name}"] = (along, stats.z_score(found, flow[None, ..., at]))
        data.attrs["title"] = _linear.title(config)
        data.attrs["notes"] = "\n".join(_findings(data))
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Every batch size against the theory of its steps, and against gradient flow."""
        out, where = [], _estimates.where(data, ("theta", "sample_ratio", "time"))
        for size in data.batch_size.values:
            for name in MEASURES:
                for z, label in ((f"z_{name}", "steps"), (f"z_flow_{name}", "gradient flow")):
                    own, count = data[z].sel(batch_size=size), int(data[f"usable_{name}"].sel(batch_size=size).min())
                    title, claimed = f"{batch(size)}, {name}: {label}", label == "steps"
                    out.append(Verdict(title, own.values, where, count, claimed=claimed))
        return out


def batch(size: int) -> str:
    """A batch size in words."""
    return f"B = {size}" if size else "whole sample"


def curve(
    name: str, setting: LinearSetting, size: int | None, times: np.ndarray, theta: np.ndarray, ratio: np.ndarray
) -> np.ndarray:
    """Theory of the risk or the balance factor: (theta, n/d, time), of a batch size, or of flow (None)."""
    angle, ratios = np.meshgrid(theta, ratio, indexing="ij")
    options = {"depth": setting.depth, "num_samples": ratios * setting.dim, **_theory.source_of(setting)}
    if size is not None:
        options |= {"learning_rate": float(setting.fine_tune.learning_rate)}
    if size:
        options |= {"batch_size": size, "replacement": setting.replacement}
    pair = (times, angle, ratios, setting.noise_std)
    if name == "risk":
        return np.asarray(theory.risk_over_time("fine_tuning", *pair, **options), float)
    return np.asarray(theory.balance_over_time(*pair, **options), float)


def _findings(data: xr.Dataset) -> list[str]:
    """The factor c at the end, for every batch size."""
    lines, last = [], data.isel(theta=0, sample_ratio=0)
    flow = float(last.flow_balance.values[-1])
    for size in data.batch_size.values:
        one = last.sel(batch_size=size)
        mean, error = (float(one[f"balance_over_time_{kind}"].values[-1]) for kind in ("mean", "standard_error"))
        lines.append(
            f"{batch(int(size))}: at t = {data.time.values[-1]:.3g} c = {mean:.3f} ± {error:.2g}; theory of its steps "
            f"{float(one.theory_balance.values[-1]):.3f}, gradient flow {flow:.3f} "
            f"({abs(float(one.z_flow_balance.values[-1])):.1f} standard errors away)."
        )
    return lines


if __name__ == "__main__":
    main(Sgd)
