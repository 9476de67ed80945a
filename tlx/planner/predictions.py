"""Predicted risk of the three methods at any sample size, from the closed forms of `tlx.theory`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from tlx import theory
from tlx.planner.estimates import TaskDraws

_BLOCK = 4096
METHODS = ("scratch", "linear_transfer", "fine_tuning")


class Learner(NamedTuple):
    """What does not depend on the target: input dimension, pretrained norm (NaN if unknown), depth, feature count."""

    dim: int
    source_norm: float
    depth: float
    num_features: int


class RankingChange(NamedTuple):
    """From `num_samples` on, `after` has the lowest predicted risk; below it, `before` had."""

    num_samples: int
    before: str
    after: str


def predicted_risks(
    task: TaskDraws, num_samples: Real[np.ndarray, "sizes"], learner: Learner
) -> Float[np.ndarray, "methods draws sizes"]:
    """Mean excess risk of each method (in the order of METHODS), for every draw of the task and every sample size.

    scratch:          r² (1 - n/d) + sigma² n/(d-n-1)  or  sigma² d/(n-d-1)                   (exact at finite d)
    linear transfer:  rho + (sigma² + rho) k/(n-k-1), rho = r² sin²(angle), k features        (exact at finite n)
    fine-tuning:      scratch less the gain of the gradient-flow endpoint in the limit of large d (within .8 % of the
                      mean at d = 50, .1 % at d = 500); NaN without a pretrained predictor.
    """
    shape = (len(task.along), len(num_samples))
    columns = [np.broadcast_to(part[:, None], shape).ravel() for part in (task.along, task.across, task.noise_std)]
    columns.append(np.broadcast_to(np.asarray(num_samples, dtype=float)[None, :], shape).ravel())
    points = len(columns[0])
    padded = np.stack([np.concatenate([part, np.ones(-points % _BLOCK)]) for part in columns])
    fixed = [float(part) for part in (learner.dim, learner.source_norm, learner.depth, learner.num_features)]
    with jax.enable_x64(True):
        blocks = [
            np.asarray(_closed_forms(padded[:, at : at + _BLOCK], *fixed)) for at in range(0, padded.shape[1], _BLOCK)
        ]
    return np.concatenate(blocks, axis=1)[:, :points].reshape(len(METHODS), *shape)


@jax.jit
def _closed_forms(points, dim, source_norm, depth, width):
    """The three risks at (along, across, noise, num_samples) = `points`; one shape, so that it is compiled once."""
    along, across, noise, count = points
    norm, angle, ratio = jnp.hypot(along, across), jnp.arctan2(across, along), count / dim
    scratch = theory.scratch_risk(ratio, noise, target_norm=norm, dim=dim)
    linear = theory.feature_transfer_risk(width, across**2, noise, num_samples=count, in_span_energy=along**2)
    known = jnp.isfinite(source_norm)
    start = jnp.where(known, source_norm, 1.0)
    gain = theory.fine_tuning_gain(angle, ratio, noise, depth=depth, target_norm=norm, source_norm=start)
    return jnp.stack([scratch, linear, jnp.where(known, scratch - gain, jnp.nan)])


def support(risks: Float[np.ndarray, "methods draws sizes"], tolerance: float) -> Float[np.ndarray, "methods sizes"]:
    """Share of the draws for which each method is the best or within `tolerance` (relative) of the best."""
    usable = np.where(np.isnan(risks), np.inf, risks)
    best = np.min(usable, axis=0)
    near = (usable <= (1 + tolerance) * best) & np.isfinite(usable)
    return np.mean(near, axis=1)


def ranking_changes(task: TaskDraws, learner: Learner, sizes: Float[np.ndarray, "sizes"]) -> tuple[RankingChange, ...]:
    """Where the best predicted method changes over the integers spanned by `sizes`, for a single task (one draw)."""
    every = np.arange(int(sizes[0]), int(sizes[-1]) + 1)
    risks = predicted_risks(task, every, learner)[:, 0]
    best = np.argmin(np.where(np.isnan(risks), np.inf, risks) * (1 + 1e-9 * np.arange(3))[:, None], axis=0)
    turns = np.flatnonzero(np.diff(best)) + 1
    return tuple(RankingChange(int(every[i]), METHODS[best[i - 1]], METHODS[best[i]]) for i in turns)
