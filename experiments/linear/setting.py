"""From the configuration of a linear study to the frozen settings that tlx takes, checked before any compute."""

import math
from typing import Any

import numpy as np

from experiments.linear import config as _schemas
from experiments.running import grid as _grid
from experiments.running.study import UserError
from tlx.glossary import Protocol
from tlx.linear.setting import PENALISED, PROTOCOLS, LinearSetting
from tlx.train import Optimizer

# Depth L > 2 leaves the saddle at zero after a time ~ alpha^(2-L) / (L-2): the default alpha keeps that near
# PLATEAU units of training time. Depth 1 has no saddle, depth 2 leaves it in time ~ log(1/alpha).
PLATEAU = 100.0


def default_init_scale(depth: int) -> float:
    """The start used for network.init_scale=null: 1e-5 up to depth 2 (as published), then by the plateau."""
    return 1e-5 if depth <= 2 else min(0.3, (PLATEAU * (depth - 2)) ** (-1 / (depth - 2)))


def optimizer(config: _schemas.OptimizerConfig, phase: _schemas.PhaseOptimizers | None = None) -> Optimizer:
    """One phase's optimizer: fields the phase leaves null are inherited."""
    rate = config.learning_rate if phase is None or phase.learning_rate is None else phase.learning_rate
    steps = config.num_steps if phase is None or phase.num_steps is None else phase.num_steps
    return Optimizer(rate, steps, config.name.value, config.momentum, config.weight_decay, config.tolerance)


def protocols(config: _schemas.LinearStudyConfig) -> tuple[Protocol, ...]:
    """The chosen protocols in the order of the glossary, scratch first: everything is compared with it."""
    known = [*PROTOCOLS, *PENALISED]
    for name in config.protocols:
        if name not in known:
            raise UserError(f"protocols holds {name!r}; choose from {', '.join(known)}.")
    if "scratch" not in config.protocols:
        raise UserError(f"protocols = {config.protocols} lacks scratch, which all others are compared with; add it.")
    return tuple(protocol for protocol in known if protocol in config.protocols)


def _refuse(config: _schemas.LinearStudyConfig) -> None:
    """Refuse a source without samples, and momentum where no steps are taken."""
    task = config.task
    if task.source_ratio is not None and not task.source_ratio * task.dim >= 1:
        raise UserError(
            f"task.source_ratio = {task.source_ratio} leaves no source sample at task.dim = {task.dim}; it must be at "
            f"least {1 / task.dim:g}, or null for the population source."
        )
    if config.engine is _schemas.Engine.flow and config.optimizer.momentum:
        raise UserError(
            f"optimizer.momentum = {config.optimizer.momentum} with engine=flow, which takes no steps; set it to 0, or "
            "use engine=spectral or engine=full."
        )


def setting(config: _schemas.LinearStudyConfig) -> LinearSetting:
    """The frozen settings of a linear study."""
    _refuse(config)
    tuning = config.fine_tuning
    task, network = config.task, config.network
    power_law = task.covariance is _schemas.Covariance.power_law
    return LinearSetting(
        dim=task.dim,
        depth=network.depth,
        width=network.width,
        noise_std=task.noise_std,
        source_samples=None if task.source_ratio is None else round(task.source_ratio * task.dim),
        source_noise_std=task.source_noise_std,
        target_norm=task.target_norm,
        source_norm=task.source_norm,
        covariance_exponent=task.covariance_exponent if power_law else 0.0,
        init_scale=default_init_scale(network.depth) if network.init_scale is None else network.init_scale,
        start=network.start.value,
        pretraining=config.pretraining.mode.value,
        feature_cutoff=config.linear_transfer.feature_cutoff,
        ridges=tuple(config.linear_transfer.ridges),
        weight_decays=tuple(config.scratch.weight_decays),
        pretrain=optimizer(config.optimizer, config.pretraining),
        scratch=optimizer(config.optimizer, config.scratch),
        fine_tune=optimizer(config.optimizer),
        protocols=protocols(config),
        l2sp_penalties=tuple(config.l2sp.penalties),
        layerwise_decays=tuple(config.l2sp.weight_decays),
        source_ridges=tuple(config.source_ridge.ridges),
        trained_layers=None if tuning.trained_layers is None else tuple(tuning.trained_layers),
        lora_rank=tuning.lora_rank,
        lora_scale=tuning.lora_scale,
        batch_size=config.sgd.batch_size,
        replacement=config.sgd.replacement,
        max_samples=_rows_held(config),
    )


def _rows_held(config: _schemas.LinearStudyConfig) -> int | None:
    """Rows that hold the largest sample, for mini-batches; a batch larger than the smallest sample is refused."""
    size = config.sgd.batch_size
    if size is None or not hasattr(config, "grid"):
        return None
    ratios = sample_ratios(config.grid.sample_ratios, config.task.dim)
    counts = sample_counts(ratios, config.task.dim)
    if size > counts[0]:
        raise UserError(
            f"sgd.batch_size = {size} is larger than the target sample of {counts[0]} rows at n/d = {ratios[0]:g}; "
            "lower it, or leave that ratio out of grid.sample_ratios."
        )
    return int(counts[-1])


def overlap_angles(value: Any) -> np.ndarray:
    """grid.overlap_angles in radians."""
    values = _grid.axis("grid.overlap_angles", value, math.pi / 2)
    outside = values[(values < 0) | (values > math.pi)]
    if outside.size:
        raise UserError(f"grid.overlap_angles holds {outside[0]:g}, outside [0, pi]; angles are in radians.")
    return values


def sample_ratios(value: Any, dim: int) -> np.ndarray:
    """grid.sample_ratios, n / d."""
    values = _grid.axis("grid.sample_ratios", value, 2.0)
    if np.any(values * dim < 0.5):
        raise UserError(
            f"grid.sample_ratios holds {values[0]:g}, which leaves no target sample at task.dim = {dim}; "
            f"the smallest ratio is {1 / dim:g}."
        )
    counts = sample_counts(values, dim)
    if len(set(counts.tolist())) != counts.size:
        raise UserError(f"grid.sample_ratios gives the same number of samples twice at task.dim = {dim}: {counts}.")
    return values


def sample_counts(ratios: np.ndarray, dim: int) -> np.ndarray:
    """Samples at each ratio: n = round(ratio d), at least 1."""
    return np.maximum(np.rint(ratios * dim), 1).astype(np.int32)


def title(config: _schemas.LinearStudyConfig) -> str:
    """The settings of a study in one line, for figures."""
    task = config.task
    parts = [f"d = {task.dim}", f"depth {config.network.depth}", f"σ = {task.noise_std:g}"]
    if task.target_norm != 1:
        parts.append(f"|β_t| = {task.target_norm:g}")
    if task.source_norm != 1:
        parts.append(f"|β_s| = {task.source_norm:g}")
    if task.source_ratio is not None:
        parts.append(f"n_s/d = {task.source_ratio:g}, σ_s = {task.source_noise_std:g}")
    if task.covariance is _schemas.Covariance.power_law:
        parts.append(f"covariance j^-{task.covariance_exponent:g}")
    return ", ".join([*parts, f"engine {config.engine.value}"])
