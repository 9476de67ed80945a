"""Deep linear pairs: measured risks and feature scores of each task, the distances between its laws, and theory."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.linear import setting as _linear
from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.prediction.rank_table import DISTANCES
from experiments.prediction.tasks import Task
from experiments.running import grid as _grid
from experiments.running.study import Progress
from tlx import discrepancy, feature_scores, theory
from tlx.discrepancy import LinearLaw
from tlx.linear import pairs
from tlx.linear.setting import PROTOCOLS

SCORES = ("log_me", "h_score", "linear_mse")
RENYI_ORDER = 0.5


def measure(config: PredictorsConfig, chosen: list[Task], every: list[Task], progress: Progress) -> Any:
    """Risks (method, task, instance), statuses, overlap and the three feature scores of some tasks."""
    instance = _grid.instances(config.ensemble).astype(np.int32)
    columns = {name: values[:, None] for name, values in tasks.columns(chosen).items()}
    found = pairs.pair_lanes(
        config.engine.value,
        _linear.setting(config),
        jax.random.key(config.seed),
        pairs.Pairs(
            draw=columns["draw"],
            instance=instance,
            overlap_angle=columns["theta"],
            target_norm=columns["norm"],
            noise_std=columns["noise"],
            num_samples=columns["num_samples"],
        ),
        rows=max(task.num_samples for task in every),
        layout=_grid.layout(config.ensemble, len(chosen) * len(instance)),
        progress=lambda done, total: progress(3 * done),
    )
    scored = [
        [scores(f[:count, None], y[:count]) for f, y in zip(features, labels, strict=True)]
        for features, labels, (count,) in zip(found.feature, found.labels, columns["num_samples"], strict=True)
    ]
    scratch, moved = found.scratch, found.transfer
    risk = [scratch.risk[..., 0], moved.linear_transfer_risk[..., 0], moved.fine_tuning_risk]
    status = [scratch.status[..., 0], moved.linear_transfer_status, moved.fine_tuning_status]
    return {
        "risk": np.stack(risk),
        "status": np.stack(status).astype(np.int8),
        "overlap": found.overlap,
        "score": np.moveaxis(np.asarray(scored), -1, 0),
    }


def scores(features: np.ndarray, labels: np.ndarray) -> list[float]:
    """LogME, H-score and leave-one-out error of the features; NaN for a run that left nothing to score."""
    usable = np.all(np.isfinite(features)) and features.shape[1] > 0 and np.ptp(labels) > 0
    if not usable or len(labels) < features.shape[1] + 2:
        return [np.nan] * len(SCORES)
    return [float(getattr(feature_scores, name)(features, labels)) for name in SCORES]


@functools.partial(jax.jit, static_argnums=0)
def _distances(dim: int, theta: jax.Array, norm: jax.Array, noise: jax.Array) -> jax.Array:
    source = jnp.zeros(dim).at[0].set(1.0)
    target = jnp.zeros(dim).at[0].set(norm * jnp.cos(theta)).at[1].set(norm * jnp.sin(theta))
    laws = {"source": LinearLaw(source, noise), "target": LinearLaw(target, noise)}
    bandwidth = float(np.sqrt(dim))  # the median heuristic in high dimension
    return jnp.stack([*between(laws), discrepancy.maximum_mean_discrepancy(**laws, bandwidth=bandwidth)])


def between(laws: dict[str, Any], inputs: Any = None) -> list[jax.Array]:
    """Every distance but MMD, in the order of `DISTANCES` without it; W_1 and Dudley are their upper bounds."""
    where = {**laws, "inputs": inputs}
    renyi = discrepancy.renyi(RENYI_ORDER, **where)
    names = ("kullback_leibler", "chi_squared", "squared_hellinger", "total_variation", "jensen_shannon")
    return [
        *(getattr(discrepancy, name)(**where) for name in names),
        renyi,
        discrepancy.wasserstein_1_bounds(**where)[1],
        discrepancy.wasserstein_2(**where),
        discrepancy.dudley_bounds(**where)[1],
    ]


def distances(config: PredictorsConfig, every: list[Task]) -> np.ndarray:
    """(distance, task) from the closed forms, in double precision."""
    with jax.enable_x64(True):
        rows = [np.asarray(_distances(config.task.dim, task.theta, task.norm, task.noise)) for task in every]
    return in_order(np.array(rows).T)


def in_order(values: np.ndarray) -> np.ndarray:
    """Rows of `between`, MMD last, in the order of `DISTANCES`."""
    place = DISTANCES.index("mmd")
    return np.concatenate([values[:place], values[-1:], values[place:-1]])


def dudley_lower(every: list[Task]) -> np.ndarray:
    """Lower bound of Dudley's distance of some tasks."""
    found = []
    for task in every:
        target = task.norm * np.array([np.cos(task.theta), np.sin(task.theta)])
        laws = {"source": LinearLaw(np.array([1.0, 0.0]), task.noise), "target": LinearLaw(target, task.noise)}
        found.append(float(discrepancy.dudley_bounds(**laws)[0]))
    return np.array(found)


def risks(
    config: PredictorsConfig, theta: Any, norm: Any, noise: Any, counts: Any, *, exact: bool = True
) -> np.ndarray:
    """(method, ...) mean risks: at this dimension, or (`exact` False) in the limit of n and d."""
    setting = _linear.setting(config)
    dim = setting.dim
    source = {"source_ratio": setting.source_ratio, "source_noise_std": setting.source_noise_std}
    options = {**source, "source_norm": setting.source_norm, "depth": setting.depth}
    options.update(target_norm=norm, dim=float(dim) if exact else None)
    ratio = np.asarray(counts, float) / dim
    with jax.enable_x64(True):
        return np.stack([np.asarray(theory.method_risk(m, theta, ratio, noise, **options)) for m in PROTOCOLS])
