"""From the configuration of a linear study to the frozen settings that tlx takes, checked before any compute."""

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.linear import config as _schemas
from experiments.running.study import Place, UserError
from tlx import ensemble
from tlx.linear import engines
from tlx.linear import lanes as tlx_lanes
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer, Status

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


def setting(config: _schemas.LinearStudyConfig) -> LinearSetting:
    """The frozen settings of a linear study."""
    task, network = config.task, config.network
    power_law = task.covariance is _schemas.Covariance.power_law
    if task.source_ratio is not None and not task.source_ratio * task.dim >= 1:
        raise UserError(
            f"task.source_ratio = {task.source_ratio} leaves no source sample at task.dim = {task.dim}; it must be at "
            f"least {1 / task.dim:g}, or null for the population source."
        )
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
    )


def axis(name: str, value: Any, top: float, low: float = 0.0) -> np.ndarray:
    """A grid axis: a list as it is, or an int for that many even steps in (low, top]."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple | float):
        raise UserError(f"{name} = {value!r} must be a list of numbers or an int (that many even steps up to {top:g}).")
    if isinstance(value, int):
        if value < 1:
            raise UserError(f"{name} = {value} makes an empty grid; use an int of at least 1, or a list of numbers.")
        return low + (top - low) * np.arange(1, value + 1) / value
    try:
        values = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        raise UserError(f"{name} = {value!r} holds something that is not a number.") from None
    if values.size == 0:
        raise UserError(f"{name} = [] makes an empty grid; give at least one number, or an int.")
    if not np.all(np.isfinite(values)) or len(set(values.tolist())) != values.size:
        raise UserError(f"{name} = {value!r} must hold distinct finite numbers.")
    return np.sort(values)


def overlap_angles(value: Any) -> np.ndarray:
    """grid.overlap_angles in radians."""
    values = axis("grid.overlap_angles", value, math.pi / 2)
    outside = values[(values < 0) | (values > math.pi)]
    if outside.size:
        raise UserError(f"grid.overlap_angles holds {outside[0]:g}, outside [0, pi]; angles are in radians.")
    return values


def sample_ratios(value: Any, dim: int) -> np.ndarray:
    """grid.sample_ratios, n / d."""
    values = axis("grid.sample_ratios", value, 2.0)
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


def instances(config: _schemas.EnsembleConfig) -> np.ndarray:
    """The instance axis."""
    if config.num_instances < 1:
        raise UserError(f"ensemble.num_instances = {config.num_instances} averages nothing; use at least 1.")
    return np.arange(config.num_instances)


def instance_blocks(config: _schemas.EnsembleConfig, default: int) -> list[slice]:
    """The instance axis in blocks of `instances_per_unit`."""
    size = default if config.instances_per_unit is None else config.instances_per_unit
    if size < 1:
        raise UserError(f"ensemble.instances_per_unit = {size} must be at least 1.")
    total = config.num_instances
    return [slice(begin, min(begin + size, total)) for begin in range(0, total, size)]


def layout(config: _schemas.EnsembleConfig, num_lanes: int) -> ensemble.Layout:
    """The layout of lanes on this machine's devices."""
    devices = jax.devices()  # those of every host, in a multi-host program
    if config.devices is not None and jax.process_count() == 1:
        if not 1 <= config.devices <= len(devices):
            raise UserError(f"ensemble.devices = {config.devices}, but JAX sees {len(devices)} device(s) here.")
        devices = devices[: config.devices]
    memory = None if config.memory_gb is None else int(config.memory_gb * 1e9)
    return ensemble.make_layout(num_lanes, devices=tuple(devices), together=config.lanes_together, memory=memory)


def programs(engine: _schemas.Engine) -> tuple[Callable, Callable]:
    """The two functions of an engine as `ensemble.run_nested` takes them."""
    return tlx_lanes.grid_programs(engines.engine(engine.value))


@functools.cache
def scratch_program(engine: _schemas.Engine) -> Callable:
    """Training from scratch alone, as `ensemble.run` takes it."""
    prepare, _ = programs(engine)
    return lambda shared, lane: prepare(shared, lane)[1]


def check_engine(config: _schemas.LinearStudyConfig) -> None:
    """Let the chosen engine refuse what it cannot do, before any compute."""
    engines.engine(config.engine.value).check(setting(config))


def usable(status: np.ndarray) -> np.ndarray:
    """Lanes whose numbers mean something (missing cells, -1, do not)."""
    return (status == Status.CONVERGED) | (status == Status.MAX_STEPS)


def notes(config: _schemas.LinearStudyConfig, data: Any) -> str:
    """What a reader must know about lanes that did not converge."""
    lines = []
    for method, codes in zip(data.method.values, data.status.values, strict=True):
        short = float(np.mean(codes == Status.MAX_STEPS))
        if short:
            lines.append(
                f"{method}: {100 * short:.1f} % of the runs used all their steps before the tolerance; their cells are "
                "left out of the table. Raise optimizer.num_steps to include them."
            )
        failed = np.isin(codes, (Status.DIVERGED, Status.NON_FINITE))
        if failed.any():
            stable = np.broadcast_to(data.stable_learning_rate.values, failed.shape)[failed].min()
            lines.append(
                f"{method}: {int(failed.sum())} runs diverged and are in no mean. For this data a step size below "
                f"{stable:.3g} is stable; set optimizer.learning_rate to it or less."
            )
    return "\n".join(lines)


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


def start_jax(config: _schemas.StudyConfig) -> None:
    """Set precision and devices before the first array is made."""
    # Lanes already fill the cores: LAPACK threads (SciPy's OpenBLAS, loaded at the first decomposition) would fight
    # over them, which costs a factor of ten to fifty on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    jax.config.update("jax_enable_x64", config.precision is _schemas.Precision.float64)
    jax.config.update("jax_default_matmul_precision", "highest")
    wanted = getattr(getattr(config, "ensemble", None), "devices", None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted is not None and wanted < 1:
        raise UserError(f"ensemble.devices = {wanted} must be at least 1, or null for all there are.")
    if jax.config.jax_num_cpu_devices in (-1, 0, None) and "JAX_NUM_CPU_DEVICES" not in os.environ:
        ensemble.use_cpu_cores(min(wanted or cores, cores))
    if wanted is not None and wanted > jax.device_count():
        raise UserError(
            f"ensemble.devices = {wanted}, but JAX sees {jax.device_count()} device(s) here; use null for all of them "
            f"(JAX_NUM_CPU_DEVICES={wanted} in the environment emulates more on a CPU)."
        )


def places(ratios: np.ndarray, blocks: list[slice]) -> list[Place]:
    """One unit for every sample ratio and block of instances, small samples first."""
    return [{"sample_ratio": slice(i, i + 1), "instance": block} for i in range(len(ratios)) for block in blocks]
