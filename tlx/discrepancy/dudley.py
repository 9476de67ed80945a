"""Dudley's bounded-Lipschitz distance between two tasks' joint laws: bounds, and samples by a linear program."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from tlx._checks import check_choice, concrete
from tlx.discrepancy import _transport
from tlx.discrepancy.laws import InputNodes, Law, both_linear, check_laws, check_samples
from tlx.discrepancy.total_variation import total_variation
from tlx.discrepancy.wasserstein import wasserstein_1_bounds

NORMS = ("max", "sum")
_SPLITS = np.linspace(0.02, 0.98, 49)


def dudley_bounds(
    *, source: Law, target: Law, inputs: InputNodes | None = None, norm: str = "max"
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Lower and upper bound of sup |E_source f - E_target f| over bounded Lipschitz f; there is no closed form.

    norm "max": |f| <= 1 and Lip f <= 1; upper min(W_1, 2 TV).
    norm "sum": |f| + Lip f <= 1;        upper 2 TV W_1/(2 TV + W_1).
    Lower (linear laws): the best of test functions of |y| alone, a ramp of the steepness allowed.

    Args:
        source: noise_std >= 0.
        target: noise_std >= 0.
        inputs: nodes for E over x, unless both laws are linear.
        norm: which unit ball, see above.

    Returns:
        (lower, upper). The ceiling is 2, whatever the laws: |E f - E' f| <= 2 max|f|. (The paper's "any delta" holds
        below 2 only.) Without noise TV is replaced by its ceiling 1 (a traced noise is taken to be positive).
    """
    check_choice("norm", norm, NORMS)
    check_laws(source, target, noisy=False)
    _, transport = wasserstein_1_bounds(source=source, target=target, inputs=inputs)
    noiseless = any(np.any(level == 0) for law in (source, target) if (level := concrete(law.noise_std)) is not None)
    varied = jnp.ones(()) if noiseless else total_variation(source=source, target=target, inputs=inputs)
    if norm == "max":
        upper = jnp.minimum(transport, 2 * varied)
    else:
        together = 2 * varied + transport
        upper = 2 * varied * transport / jnp.where(together > 0, together, 1.0)
    lower = _ramp_bound(source, target, norm) if both_linear(source, target) else jnp.zeros(())
    return lower, upper


def dudley_sample(
    *, source: Float[np.ndarray, "n width"], target: Float[np.ndarray, "m width"], norm: str = "max"
) -> float:
    """The bounded-Lipschitz distance (Euclidean metric) between two samples, by linear programming.

    maximise mean f(source) - mean f(target) over the values of f at the points, |f_i| <= M, |f_i - f_j| <= L |z_i -
    z_j|, with
    L = M = 1 ("max") or L + M <= 1 ("sum"); any such values extend to all of space without leaving the ball (McShane).

    Args:
        source: (n, width) points, for instance `joint_points(X, y)`.
        target: (m, width).
        norm: which unit ball.

    Returns:
        Exact for the samples, at most 2. As an estimate for the laws biased upwards like W_1, and in high dimension
        mostly by the same-law floor. (n + m)² constraints: meant for a few hundred points. Needs the extra `transport`.
    """
    check_choice("norm", norm, NORMS)
    source, target = check_samples(source, target)
    points = np.concatenate([source, target])
    count = len(points)
    gaps = _transport.distances(points, points, "euclidean")
    left, right = np.nonzero(~np.eye(count, dtype=bool))
    free = norm == "sum"  # then L is a variable (the last one), and M = 1 - L
    objective = np.concatenate(
        [np.full(len(source), 1 / len(source)), np.full(len(target), -1 / len(target)), np.zeros(int(free))]
    )
    pairs = np.arange(len(left))
    rows, columns = [pairs, pairs], [left, right]
    values = [np.ones(len(left)), -np.ones(len(left))]
    upper = np.zeros(len(left)) if free else gaps[left, right]
    bounds: list = [(-1.0, 1.0)] * count
    if free:
        rows.append(pairs)
        columns.append(np.full(len(left), count))
        values.append(-gaps[left, right])
        for sign, start in ((1.0, len(left)), (-1.0, len(left) + count)):
            index = np.arange(count)
            rows += [start + index, start + index]
            columns += [index, np.full(count, count)]
            values += [np.full(count, sign), np.ones(count)]
        upper = np.concatenate([upper, np.ones(2 * count)])
        bounds.append((0.0, 1.0))
    shape = (len(upper), len(objective))
    matrix = _transport.sparse_rows(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), shape)
    best = _transport.maximize(objective, matrix, upper, bounds)
    return float(objective @ best)


def _ramp_bound(source: Law, target: Law, norm: str) -> Float[Array, ""]:
    """over ramps f = M clip((|y| - k) L/M, -1, 1) of |E_source f - E_target f|, y ~ N(0, |b|² + sigma²)."""
    stds = [
        jnp.sqrt(jnp.sum(jnp.asarray(law.weights) ** 2) + jnp.asarray(law.noise_std) ** 2) for law in (source, target)
    ]
    bound = jnp.asarray(_SPLITS if norm == "sum" else np.ones(1))[:, None]
    width = bound / (1 - bound) if norm == "sum" else bound
    starts = jnp.minimum(*stds) * jnp.asarray(np.linspace(0.0, 4.0, 41))[None, :]  # where |y| leaves -M

    def mean(std):
        ramps = _mean_excess(starts, std) - _mean_excess(starts + 2 * width, std)
        return -bound + bound / width * ramps

    return jnp.max(jnp.abs(mean(stds[0]) - mean(stds[1])))


def _mean_excess(level, std):
    """E max(|y| - level, 0) for y ~ N(0, std²)."""
    safe = jnp.where(std > 0, std, 1.0)
    z = level / safe
    value = 2 * (safe * jnp.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) - level * ndtr(-z))
    return jnp.where(std > 0, value, 0.0)
