"""Predicted risk of every method at any sample size, from the closed forms of `tlx.theory`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from tlx import theory
from tlx.planner.estimates import TaskDraws

_BLOCK = 4096
METHODS = ("scratch", "linear_transfer", "fine_tuning")
TUNED = ("ridge_scratch", "ridge_probe", "l2_sp", "source_ridge")
REFERENCES = ("null", "source_as_is")
ALL = (*METHODS, *TUNED, *REFERENCES)
_SEARCHED = 400  # sample sizes looked at for changes of ranking, before bisection


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
    """Mean excess risk of each method (in the order of ALL), for every draw of the task and every sample size.

    scratch:          r² (1 - n/d) + sigma² n/(d-n-1)  or  sigma² d/(n-d-1)                   (exact at finite d)
    linear transfer:  rho + (sigma² + rho) k/(n-k-1), rho = r² sin²(angle), k features        (exact at finite n)
    fine-tuning:      scratch less the gain of the gradient-flow endpoint in the limit of large d (within .8 % of the
                      mean at d = 50, .1 % at d = 500); NaN without a pretrained predictor.
    ridge scratch:    R* (n/d, sigma, r), the least risk of ridge regression on isotropic inputs, limit of large d
    ridge probe:      rho + R* (n/k, sqrt(sigma² + rho), r cos(angle))
    L2-SP:            R* (n/d, sigma, |beta_t - beta_pre|); NaN without a pretrained predictor
    source ridge:     R + (sigma² + R) k/(n-k-1), R = R* ((n-k)/(d-k), sigma, r sin(angle))
    null, source:     r² and |beta_t - beta_pre|², nothing being trained.
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
    return np.concatenate(blocks, axis=1)[:, :points].reshape(len(ALL), *shape)


@jax.jit
def _closed_forms(points, dim, source_norm, depth, width):
    """All risks at (along, across, noise, num_samples) = `points`; one shape, so that it is compiled once."""
    along, across, noise, count = points
    norm, angle, ratio = jnp.hypot(along, across), jnp.arctan2(across, along), count / dim
    scratch = theory.scratch_risk(ratio, noise, target_norm=norm, dim=dim)
    linear = theory.feature_transfer_risk(width, across**2, noise, num_samples=count, in_span_energy=along**2)
    known = jnp.isfinite(source_norm)
    start = jnp.where(known, source_norm, 1.0)
    gain = theory.fine_tuning_gain(angle, ratio, noise, depth=depth, target_norm=norm, source_norm=start)
    apart = jnp.hypot(along - start, across)
    probe = theory.optimal_ridge_risk(count / width, jnp.hypot(noise, across), target_norm=jnp.abs(along))
    left = jnp.maximum(count - width, 1e-3) / jnp.maximum(dim - width, 1e-3)
    rest = theory.optimal_ridge_risk(left, noise, target_norm=across)
    room = jnp.where(count > width + 1, count - width - 1, jnp.nan)
    beside = jnp.where(jnp.isnan(room), jnp.inf, rest + (noise**2 + rest) * width / room)
    rows = [
        scratch, linear, jnp.where(known, scratch - gain, jnp.nan),
        theory.optimal_ridge_risk(ratio, noise, target_norm=norm), across**2 + probe,
        jnp.where(known, theory.optimal_ridge_risk(ratio, noise, target_norm=apart), jnp.nan), beside,
        norm**2, jnp.where(known, apart**2, jnp.nan),
    ]  # fmt: skip
    return jnp.stack(rows)


def support(risks: Float[np.ndarray, "methods draws sizes"], tolerance: float) -> Float[np.ndarray, "methods sizes"]:
    """Share of the draws for which each method is the best or within `tolerance` (relative) of the best."""
    usable = np.where(np.isnan(risks), np.inf, risks)
    best = np.min(usable, axis=0)
    near = (usable <= (1 + tolerance) * best) & np.isfinite(usable)
    return np.mean(near, axis=1)


def ranking_changes(
    task: TaskDraws, learner: Learner, sizes: Float[np.ndarray, "sizes"], methods: tuple[str, ...] = METHODS
) -> tuple[RankingChange, ...]:
    """Where the best predicted method changes over the integers spanned by `sizes`, for a single task (one draw).

    The best method is found at some hundred sizes, evenly spaced in their logarithm, and each change is bisected.
    """
    rows = [ALL.index(name) for name in methods]
    prefer = (1 + 1e-9 * np.arange(len(rows)))[:, None]

    def best(counts: np.ndarray) -> np.ndarray:
        risks = predicted_risks(task, counts, learner)[rows, 0]
        return np.argmin(np.where(np.isnan(risks), np.inf, risks) * prefer, axis=0)

    every = np.unique(np.round(np.geomspace(max(sizes[0], 1), max(sizes[-1], 1), _SEARCHED)))
    chosen = best(every)
    turns = np.flatnonzero(np.diff(chosen))
    low, high = every[turns], every[turns + 1]
    before, after = chosen[turns], chosen[turns + 1]
    while np.any(high - low > np.maximum(1, 2 * np.spacing(high))):
        middle = np.floor((low + high) / 2)
        same = best(middle) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return tuple(
        RankingChange(int(at), methods[one], methods[two]) for at, one, two in zip(high, before, after, strict=True)
    )
