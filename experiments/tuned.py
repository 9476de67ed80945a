"""What is left of negative transfer when every protocol is tuned? Each with its best penalty or time, against scratch.

python -m experiments.tuned [overrides]      (--help explains them; -m sweeps)
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.learning_curves import LearningCurvesGrid, times
from experiments.linear import theory as _theory
from experiments.linear import tuning as _tuning
from experiments.linear.config import (
    Engine,
    L2spConfig,
    LinearTransferConfig,
    NetworkConfig,
    OptimizerConfig,
    Pretraining,
    PretrainingConfig,
    ScratchConfig,
    SourceRidgeConfig,
    TaskConfig,
)
from experiments.linear.halves import judged
from experiments.phase_diagram import CELL, PENALTY, PhaseDiagram, PhaseDiagramConfig, arrays
from experiments.running import estimates as _estimates
from experiments.running.app import main
from experiments.running.config import EnsembleConfig
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, UserError, Verdict
from tlx import stats
from tlx.linear.setting import PENALISED, PROTOCOLS, LinearSetting

TIMES = [float(t) for t in np.unique(np.round(np.geomspace(0.05, 40, 30), 2))]  # even in the logarithm


@dataclass
class TunedGrid(LearningCurvesGrid):
    """The axes of the comparison, and the times among which fine-tuning's best is chosen."""

    overlap_angles: Any = field(default_factory=lambda: [0.2, 0.6, 1.0472, 1.3, 1.57])  # radians in [0, pi]
    sample_ratios: Any = field(default_factory=lambda: [0.4, 0.9, 1.5])  # n / dim
    times: Any = field(default_factory=lambda: TIMES)  # among which the best time of fine-tuning is chosen


@dataclass
class TunedConfig(PhaseDiagramConfig):
    """Angle x sample ratio x instance x protocol x penalty or time; the lists are what tuning chooses from."""

    engine: Engine = Engine.spectral
    task: TaskConfig = field(default_factory=lambda: TaskConfig(dim=80, noise_std=0.5))
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(init_scale=1e-2))
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=0.05, num_steps=1200))
    pretraining: PretrainingConfig = field(default_factory=lambda: PretrainingConfig(mode=Pretraining.limit))
    protocols: list[str] = field(default_factory=lambda: [*map(str, PROTOCOLS), *map(str, PENALISED)])
    scratch: ScratchConfig = field(
        default_factory=lambda: ScratchConfig(weight_decays=[0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4])
    )
    linear_transfer: LinearTransferConfig = field(
        default_factory=lambda: LinearTransferConfig(ridges=[0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
    )
    l2sp: L2spConfig = field(
        default_factory=lambda: L2spConfig(
            penalties=[0.0, 0.05, 0.15, 0.3, 0.6, 1.2, 3.0, 8.0],
            weight_decays=[0.0, 0.1, 0.3, 0.6, 1.2, 2.4, 5.0, 12.0],
        )
    )
    source_ridge: SourceRidgeConfig = field(
        default_factory=lambda: SourceRidgeConfig(ridges=[0.02, 0.1, 0.2, 0.4, 0.8, 1.6, 4.0, 12.0, 100.0])
    )
    grid: TunedGrid = field(default_factory=TunedGrid)
    ensemble: EnsembleConfig = field(default_factory=lambda: EnsembleConfig(num_instances=32))


class Tuned(PhaseDiagram):
    """What is left of negative transfer when every protocol is tuned? Scratch with its best weight decay, the probe
    with its best ridge, fine-tuning stopped at its best, L2-SP and the ridge orthogonal to the source at their best:
    chosen on one half of the instances, judged on the other, beside the optima of theory.
    """

    Config = TunedConfig

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import tuned

        return {"tuned": tuned.slices}

    def setting(self, config: TunedConfig) -> LinearSetting:
        """The frozen settings, times included."""
        if "fine_tuning" not in config.protocols:
            raise UserError(f"protocols = {config.protocols} lacks fine_tuning, which the others are read beside; add.")
        return dataclasses.replace(super().setting(config), times=tuple(times(config).tolist()))

    def axes(self, config: TunedConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        return {**super().axes(config), "time": times(config)}

    def compute(self, config: TunedConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one unit, at every penalty; fine-tuning is looked at at every time."""
        scratch, transfer = self.reports(config, place, progress)
        curves = transfer.fine_tuning_over_time.transpose(1, 2, 0)[:, None]  # from (instance, theta, time)
        cell = ("theta", "sample_ratio", "time", "instance")
        found = arrays(self.setting(config).protocols, scratch, transfer)
        return {**found, "fine_tuning_over_time": (cell, curves)}

    def finish(self, config: TunedConfig, data: xr.Dataset) -> xr.Dataset:
        """The untuned phase diagram, and beside it every protocol at its best."""
        data = super().finish(config, data)
        setting = self.setting(config)
        risk = np.stack([judged(candidates(data, str(name))) for name in data.protocol.values])
        data["tuned_risk"] = ((*CELL, "judge"), risk)
        found, gain = stats.estimate(risk), stats.estimate(risk[:1] - risk)
        _estimates.put(data, CELL, "tuned_risk", found)
        _estimates.put(data, CELL, "tuned_transferability", gain)
        whole = _theory.whole_ratio(setting, data.sample_ratio.values)
        theta = data.theta.values
        fine = np.linspace(theta[0], theta[-1], 33)
        both = _tuning.optima(setting, np.concatenate([theta, fine]), whole)  # one call: compiling is what takes time
        exact, curve = both[:, : theta.size], both[:, theta.size :]
        data.coords["fine_angle"] = fine
        within = _tuning.listed(setting, config.engine.value, theta, whole)
        data["theory_tuned"], data["theory_listed"] = (CELL, exact), (CELL, within)
        data["z_tuned"] = (CELL, stats.z_score(found, within))
        data["theory_tuned_curve"] = (("protocol", "fine_angle", "sample_ratio"), curve)
        data.attrs["notes"] = "\n".join([data.attrs["notes"], *_findings(data)]).strip()
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors from theory's least risk among the same penalties and times."""
        out = []
        for name in data.protocol.values:
            own, count = data.z_tuned.sel(protocol=name), data.usable_instances.sel(protocol=name)
            if name == "scratch":
                own, count = own.isel(theta=slice(1)), count.isel(theta=slice(1))
            where = _estimates.where(data, tuple(map(str, own.dims)))
            out.append(Verdict(f"{name}, tuned", own.values, where, int(count.min())))
        return out


def candidates(data: xr.Dataset, protocol: str) -> np.ndarray:
    """The risks that tuning chooses from: (theta, n/d, candidate, instance), NaN where a run failed."""
    if protocol == "scratch":
        found = data.risk_by_weight_decay.expand_dims(theta=data.theta), "weight_decay"
    elif protocol == "linear_transfer":
        found = data.risk_by_ridge, "ridge"
    elif protocol == "fine_tuning":
        found = data.fine_tuning_over_time, "time"
    else:
        found = data[f"risk_by_{PENALTY[protocol]}"], PENALTY[protocol]
    values, along = found
    return values.transpose("theta", "sample_ratio", along, "instance").values


def _findings(data: xr.Dataset) -> list[str]:
    """What is left of negative transfer, protocol by protocol."""
    lines = []
    for name in data.protocol.values[1:]:
        one = data.sel(protocol=name)
        gain, error = one.tuned_transferability_mean.values, one.tuned_transferability_standard_error.values
        untuned = one.transferability.values
        if not np.isfinite(gain).any():
            continue
        at = np.unravel_index(np.nanargmin(gain), gain.shape)
        where = f"theta = {data.theta.values[at[0]]:.3g}, n/d = {data.sample_ratio.values[at[1]]:.3g}"
        worse = int(np.sum(gain < -2 * error))
        lines.append(
            f"{name}: tuned, it is worse than tuned scratch by more than 2 standard errors in {worse} of {gain.size} "
            f"cells; at its worst T = {gain[at]:.3g} ± {error[at]:.2g} ({where}). At its first setting against scratch "
            f"at its first, T falls to {np.nanmin(untuned):.3g}."
        )
    return lines


if __name__ == "__main__":
    main(Tuned)
