"""Which layers must be trained for the published form to hold? Fine-tuning of chosen layers, and low-rank updates.

python -m experiments.frozen_layers [overrides]      (--help explains them; -m sweeps)
"""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from experiments.linear import setting as _linear
from experiments.linear import theory as _theory
from experiments.linear.config import (
    FineTuningConfig,
    GridConfig,
    LinearStudyConfig,
    NetworkConfig,
    OptimizerConfig,
    Pretraining,
    PretrainingConfig,
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

CELL = ("trained", "theta", "sample_ratio")
RESOLUTION = 2e-3  # of a risk: an update of low rank starts at a size of 1e-3, and training ends at a tolerance


@dataclass
class FrozenGrid(GridConfig):
    """The axes, and what is trained: layers joined by +, with "lora R" for an update of rank R."""

    overlap_angles: Any = field(default_factory=lambda: [0.6, 1.2])  # radians in [0, pi]
    sample_ratios: Any = field(default_factory=lambda: [0.5])  # n / dim
    trained: list[str] = field(default_factory=lambda: ["1", "1 lora 1", "1+2", "1+2+3", "3"])  # one network each


@dataclass
class FrozenLayersConfig(LinearStudyConfig):
    """What is trained x angle x sample ratio x instance."""

    task: TaskConfig = field(default_factory=lambda: TaskConfig(dim=40, noise_std=1.0))
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(depth=3))
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=0.02, num_steps=6000))
    pretraining: PretrainingConfig = field(default_factory=lambda: PretrainingConfig(mode=Pretraining.limit))
    grid: FrozenGrid = field(default_factory=FrozenGrid)
    ensemble: EnsembleConfig = field(default_factory=lambda: EnsembleConfig(num_instances=40))


class FrozenLayers(WatchedStudy):
    """Which layers must be trained for the published form to hold? One trained layer, or a low-rank update of it, ends
    where Theorem 3.9 says; each further trained layer leaves it, as the exact form says. Another layer
    alone is linear transfer.
    """

    Config = FrozenLayersConfig
    way = "trained"
    runs_along = ("trained", "theta", "instance")

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import frozen_layers

        return {"frozen_layers": frozen_layers.bars}

    def axes(self, config: FrozenLayersConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        for words in config.grid.trained:
            self.setting(trained_as(config, words))
        if not config.grid.trained or len(set(config.grid.trained)) != len(config.grid.trained):
            raise UserError(f"grid.trained = {config.grid.trained} must hold at least one choice, each once.")
        return {
            "trained": np.asarray(config.grid.trained),
            "theta": _linear.overlap_angles(config.grid.overlap_angles),
            "sample_ratio": _linear.sample_ratios(config.grid.sample_ratios, config.task.dim),
            "instance": _grid.instances(config.ensemble),
        }

    def variant(self, config: FrozenLayersConfig, way: str) -> FrozenLayersConfig:
        """The configuration that trains "1+2" or "1 lora 2"."""
        return trained_as(config, way)

    def compute(self, config: FrozenLayersConfig, place: Place, progress: Progress) -> Arrays:
        """Fine-tune every pair of one unit."""
        report = self.watch(config, place, progress)
        cell = (*CELL, "instance")
        names = {"risk": "fine_tuning_risk", "published_risk": "published_risk", "balance": "balance"}
        found = {name: (cell, getattr(report, field)[None, :, None]) for name, field in names.items()}
        return {**found, "status": (cell, report.status[None, :, None].astype(np.int8))}

    def finish(self, config: FrozenLayersConfig, data: xr.Dataset) -> xr.Dataset:
        """The published end of the same data, the exact form, and distances from both."""
        counts = _linear.sample_counts(data.sample_ratio.values, config.task.dim)
        data = data.assign_coords(num_samples=("sample_ratio", counts))
        good = _estimates.usable(data.status.values)
        excess = stats.estimate(data.risk.values - data.published_risk.values, good)
        _estimates.put(data, CELL, "risk", stats.estimate(data.risk.values, good), count="usable_instances")
        _estimates.put(data, CELL, "excess", excess)
        _estimates.put(data, CELL, "balance", stats.estimate(data.balance.values, good))
        exact, published = (np.full(data.risk_mean.shape, np.nan) for _ in range(2))
        for i, words in enumerate(data.trained.values):
            setting = self.setting(trained_as(config, str(words)))
            exact[i], published[i] = forms(setting, data.theta.values, counts / setting.dim)
        data["theory"], data["theory_published"] = (CELL, exact), (CELL, published)
        from_exact = stats.z_score(excess, exact - published, RESOLUTION)  # the scatter of the data cancels
        head = np.asarray([not trains_first(str(words)) for words in data.trained.values])
        plain = stats.Estimate(data.risk_mean.values, data.risk_standard_error.values, excess.count)
        data["z"] = (CELL, np.where(head[:, None, None], stats.z_score(plain, exact), from_exact))
        data["z_published"] = (CELL, stats.z_score(excess, 0.0, RESOLUTION))
        data.attrs["title"] = _linear.title(config)
        data.attrs["notes"] = "\n".join(_findings(data))
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Every choice of layers against its exact form, and against Theorem 3.9."""
        out = []
        for words in data.trained.values:
            for name, label in (("z", "exact"), ("z_published", "Theorem 3.9")):
                own, count = data[name].sel(trained=words), int(data.usable_instances.sel(trained=words).min())
                where = _estimates.where(data, ("theta", "sample_ratio"))
                claimed = label == "exact"
                out.append(Verdict(f"layers {words}: {label}", own.values, where, count, claimed=claimed))
        return out


def trained_as(config: FrozenLayersConfig, words: str) -> FrozenLayersConfig:
    """The configuration that trains "1+2" or "1 lora 2"."""
    found = re.fullmatch(r"(\d+(?:\+\d+)*)(?: lora (\d+))?", words.strip())
    if found is None:
        raise UserError(f'grid.trained holds {words!r}; write layers joined by +, as "1+2", or "1 lora 2" for rank 2.')
    rank = None if found.group(2) is None else int(found.group(2))
    layers = [int(layer) for layer in found.group(1).split("+")]
    tuning = FineTuningConfig(layers, rank, config.fine_tuning.lora_scale)
    return dataclasses.replace(config, fine_tuning=tuning)


def trains_first(words: str) -> bool:
    """Whether layer 1 is trained."""
    return "1" in words.split(" ")[0].split("+")


def forms(setting: LinearSetting, theta: np.ndarray, ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The exact form of what is trained, and the published one, at (theta, n/d)."""
    angle, ratios = np.meshgrid(theta, ratio, indexing="ij")
    source = _theory.source_of(setting)
    layers = setting.trained_layers or tuple(range(1, setting.depth + 1))
    pair = (angle, ratios, setting.noise_std)
    published = theory.fine_tuning_risk(*pair, published=True, dim=setting.dim, **source)
    if 1 not in layers and len(layers) > 1:  # they cannot turn the sign of the coefficient
        exact = np.full(angle.shape, np.nan)
    elif 1 not in layers:  # frozen features
        exact = theory.linear_transfer_risk(angle, setting.noise_std, num_samples=ratios * setting.dim, **source)
    elif setting.lora_rank is not None and len(layers) > 1:  # no form
        exact = np.full(angle.shape, np.nan)
    else:
        exact = theory.fine_tuning_risk(
            *pair, depth=setting.depth, trained_layers=len(layers), dim=setting.dim, **source
        )
    return np.asarray(exact, float), np.asarray(published, float)


def _findings(data: xr.Dataset) -> list[str]:
    """How far each choice of layers ends from Theorem 3.9."""
    lines = []
    for words in data.trained.values:
        one = data.sel(trained=words)
        factor, error = float(one.balance_mean.mean()), float(one.balance_standard_error.mean())
        worst = float(np.nanmax(np.abs(one.z_published.values))) if np.isfinite(one.z_published).any() else np.nan
        lines.append(
            f"layers {words}: c = {factor:.3f} ± {error:.2g} on what the data do not see; at most {worst:.1f} standard "
            "errors from Theorem 3.9 on the same data."
        )
    return lines


if __name__ == "__main__":
    main(FrozenLayers)
