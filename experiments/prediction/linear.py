"""Deep linear pairs: measured risks and feature scores of each task, the distances between its laws, and theory."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.linear import setting as _linear
from experiments.linear.config import Engine
from experiments.linear.theory import source_ratio
from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.prediction.rank_table import DISTANCES
from experiments.prediction.tasks import Task
from experiments.running import grid as _grid
from experiments.running.study import Progress
from tlx import _keys, discrepancy, ensemble, feature_scores, theory
from tlx.discrepancy import LinearLaw
from tlx.linear import chain as spectral
from tlx.linear import data
from tlx.linear.engines import samples as _samples
from tlx.linear.setting import METHODS

SCORES = ("log_me", "h_score", "linear_mse")
RENYI_ORDER = 0.5


@functools.cache
def program(engine: Engine, rows: int) -> Callable:
    """One lane, as `ensemble.run` takes it: train the pair, and look at the learned feature on the target sample."""
    module = _linear.engine_of(engine)

    def lane(shared: Any, task: dict[str, jax.Array]) -> dict[str, jax.Array]:
        setting, key = shared
        setting = dataclasses.replace(setting, noise_std=task["noise"], target_norm=task["norm"])
        key = _keys.lane(key, task["draw"], task["instance"])
        prepared, scratch = module.prepare(setting, key, task["num_samples"])
        report = module.transfer(setting, prepared, task["theta"])
        pair = _samples.pair(setting, prepared.samples, task["theta"])
        if engine is Engine.flow:
            learned = module.pretrain(setting, prepared.samples, pair.source)
        else:
            learned = spectral.predictor(module.pretrain(setting, prepared, pair.source).params, setting.depth)
        direction = learned / jnp.linalg.norm(learned)
        sample = (_keys.named(prepared.samples.own, "target data"), pair.target, pair.spectrum, setting.noise_std, rows)
        inputs, labels = data.draw(*sample)
        return {
            "risk": jnp.stack([scratch.risk[0], report.linear_transfer_risk[0], report.fine_tuning_risk]),
            "status": jnp.stack([scratch.status[0], report.linear_transfer_status, report.fine_tuning_status]),
            "overlap": (direction @ pair.target) ** 2 / (pair.target @ pair.target),
            "feature": inputs @ direction,
            "labels": labels,
        }

    return lane


def measure(config: PredictorsConfig, chosen: list[Task], every: list[Task], progress: Progress) -> Any:
    """Risks (method, task, instance), statuses, overlap and the three feature scores of some tasks."""
    instance = _grid.instances(config.ensemble).astype(np.int32)
    lanes = {name: np.repeat(values, len(instance)) for name, values in tasks.columns(chosen).items()}
    lanes["instance"] = np.tile(instance, len(chosen))
    out = ensemble.run(
        program(config.engine, max(task.num_samples for task in every)),
        lanes,
        (_linear.setting(config), jax.random.key(config.seed)),
        layout=_grid.layout(config.ensemble, len(lanes["instance"])),
        progress=lambda done, total: progress(3 * done),
    )
    shape = (len(chosen), len(instance))
    scored = [
        scores(feature[:count, None], labels[:count])
        for feature, labels, count in zip(out["feature"], out["labels"], lanes["num_samples"], strict=True)
    ]
    return {
        "risk": np.moveaxis(out["risk"].reshape(*shape, -1), -1, 0),
        "status": np.moveaxis(out["status"].reshape(*shape, -1), -1, 0).astype(np.int8),
        "overlap": out["overlap"].reshape(shape),
        "score": np.moveaxis(np.asarray(scored).reshape(*shape, -1), -1, 0),
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
    source = {"source_ratio": source_ratio(setting), "source_noise_std": setting.source_noise_std}
    options = {**source, "source_norm": setting.source_norm, "depth": setting.depth}
    options.update(target_norm=norm, dim=float(dim) if exact else None)
    ratio = np.asarray(counts, float) / dim
    with jax.enable_x64(True):
        return np.stack([np.asarray(theory.method_risk(m, theta, ratio, noise, **options)) for m in METHODS])
