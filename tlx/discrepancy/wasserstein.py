"""Wasserstein distances between two tasks' joint laws: bounds, the Gaussian closed form, and samples."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

from tlx._checks import check_choice, require
from tlx.discrepancy import _transport
from tlx.discrepancy.laws import (
    InputNodes,
    Law,
    LinearLaw,
    both_linear,
    check_laws,
    check_samples,
    inputs_weights,
    output_difference,
    separation,
)


def wasserstein_1_bounds(
    *, source: Law, target: Law, inputs: InputNodes | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Lower and upper bound of W_1 (Euclidean ground metric on (x, y)); W_1 itself has no closed form.

    Upper: couple equal x and equal noise, E|t + (sigma_s - sigma_t) e|; for two linear laws
    sqrt(2/pi) sqrt(s² + (sigma_s - sigma_t)²), s = |beta_s - beta_t|, or W_2 if smaller.
    Lower (linear): W_1 of the projections on one direction, sqrt(2/pi) |std_s - std_t|, at the principal directions
    of the
    difference of the covariances; for other laws 0.

    Args:
        source: noise_std >= 0.
        target: noise_std >= 0.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        (lower, upper). No ceiling. The upper one is unbiased with drawn inputs.

    Source: the upper bound, v2 Appendix A.
    """
    check_laws(source, target, noisy=False)
    gap = jnp.abs(jnp.asarray(source.noise_std) - jnp.asarray(target.noise_std))
    if not both_linear(source, target):
        difference = output_difference(source, target, inputs)
        folded = _folded_mean(difference, gap)
        return jnp.zeros(()), jnp.sum(inputs_weights(inputs) * folded)
    coupled = np.sqrt(2 / np.pi) * jnp.sqrt(separation(source, target) ** 2 + gap**2)
    first, second, moved = _reduced_factors(source, target)
    change = moved @ first.T + second @ moved.T  # S_s - S_t, whose small entries keep their digits
    _, directions = jnp.linalg.eigh(change)
    spreads = [jnp.sqrt(jnp.sum((factor.T @ directions) ** 2, axis=0)) for factor in (first, second)]
    total = spreads[0] + spreads[1]
    apart = jnp.abs(jnp.sum(directions * (change @ directions), axis=0)) / jnp.where(total > 0, total, 1.0)
    upper = jnp.minimum(coupled, wasserstein_2(source=source, target=target))
    return jnp.minimum(np.sqrt(2 / np.pi) * jnp.max(apart), upper), upper


def wasserstein_2(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """W_2 (Euclidean ground metric on (x, y)): exact for two linear laws, an upper bound otherwise.

    Linear laws are Gaussian with covariance S = [[I, b], [bᵀ, |b|² + sigma²]], and
    W_2² = tr(S_s + S_t - 2 (S_s^{1/2} S_t S_s^{1/2})^{1/2}), computed in the at most three dimensions where they
    differ.
    Otherwise the coupling of equal x and equal noise: sqrt(E t² + (sigma_s - sigma_t)²).

    Args:
        source: noise_std >= 0.
        target: noise_std >= 0.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        The distance (not squared). No ceiling.
    """
    check_laws(source, target, noisy=False)
    if not both_linear(source, target):
        gap = jnp.asarray(source.noise_std) - jnp.asarray(target.noise_std)
        square = jnp.sum(inputs_weights(inputs) * output_difference(source, target, inputs) ** 2)
        return jnp.sqrt(square + gap**2)
    first, second, moved = _reduced_factors(source, target)
    still = jnp.sqrt(jnp.sum(moved**2))
    turned = moved - second @ _turn(first, second, moved)
    return jnp.minimum(still, jnp.sqrt(jnp.sum(turned**2)))


def wasserstein_sample(
    *,
    source: Float[np.ndarray, "n width"],
    target: Float[np.ndarray, "n width"],
    order: int = 1,
    metric: str = "euclidean",
) -> float:
    """W_order between the two samples (equal sizes, equal weights), by an exact linear assignment.

    Args:
        source: (n, width) points, for instance `joint_points(X, y)`.
        target: (n, width).
        order: 1 or 2.
        metric: "euclidean" or "cityblock" (l1) ground metric.

    Returns:
        Exact for the samples. As an estimate of the distance of the laws it is biased upwards, by about
        n^{-1/width} times the spread of the points: two samples of the same law are far apart in high dimension.
        Compare with that floor (same law twice) before reading anything into it. O(n³). Needs the extra `transport`.
    """
    source, target = check_samples(source, target)
    require(len(source) == len(target), f"{len(source)} and {len(target)} rows: the assignment needs equal sizes.")
    check_choice("order", order, (1, 2))
    check_choice("metric", metric, ("euclidean", "cityblock"))
    costs = _transport.distances(source, target, metric) ** order
    return float(_transport.assignment_cost(costs) ** (1 / order))


def _reduced_factors(
    source: LinearLaw, target: LinearLaw
) -> tuple[Float[Array, "3 3"], Float[Array, "3 3"], Float[Array, "3 3"]]:
    """Factors F of the covariances F F^T of (x on the plane of the two weight vectors, y), and their difference.

    F = [[I, 0], [b^T, sigma]]; elsewhere the laws agree. The difference is made from those of weights and noise.
    """
    first, second = jnp.asarray(source.weights), jnp.asarray(target.weights)
    size = jnp.sqrt(jnp.sum(first**2))
    axis = first / jnp.where(size > 0, size, 1.0)
    change = first - second
    along = axis @ change
    across = jnp.sqrt(jnp.maximum(jnp.sum((change - along * axis) ** 2), 0.0))
    noises = jnp.asarray(source.noise_std), jnp.asarray(target.noise_std)
    zero, one = jnp.zeros_like(size), jnp.ones_like(size)

    def factor(diagonal, *last):
        rows = [[diagonal, zero, zero], [zero, diagonal, zero], [zero + entry for entry in last]]
        return jnp.stack([jnp.stack(row) for row in rows])

    moved = factor(zero, along, -across, noises[0] - noises[1])
    start = factor(one, size, zero, noises[0])
    return start, start - moved, moved


def _turn(first: Float[Array, "3 3"], second: Float[Array, "3 3"], moved: Float[Array, "3 3"]) -> Float[Array, "3 3"]:
    """U - I for the rotation U that brings F_t U closest to F_s: W_2 = |F_s - F_t U|.

    From the singular vectors of F_t^T F_s where the factors are far apart; near each other Newton's method in
    rotations, whose steps are as small as the difference and lose none of its digits.
    """
    left, _, right = jnp.linalg.svd(second.T @ first)
    eye = jnp.eye(3, dtype=first.dtype)
    far = jnp.sum(moved**2) > 0.01 * jnp.sum(first**2)
    turn, gap = jnp.zeros_like(moved), moved
    for _ in range(5):
        current = second @ (eye + turn)
        skewed = current.T @ gap
        values, vectors = jnp.linalg.eigh(current.T @ current)
        pairs = jnp.maximum(values[:, None] + values[None, :], jnp.finfo(first.dtype).tiny)
        half = vectors @ ((vectors.T @ (skewed - skewed.T) @ vectors) / pairs) @ vectors.T / 2
        step = 2 * jnp.linalg.solve(eye - half, half)
        turn = turn + (eye + turn) @ step
        gap = moved - second @ turn
    return jnp.where(far, left @ right - eye, turn)


def _folded_mean(mean: Float[Array, " n"], std: Float[Array, ""]) -> Float[Array, " n"]:
    """E|mean + std e| for standard normal e."""
    safe = jnp.where(std > 0, std, 1.0)
    spread = np.sqrt(2 / np.pi) * safe * jnp.exp(-(mean**2) / (2 * safe**2)) + mean * erf(mean / (np.sqrt(2) * safe))
    return jnp.where(std > 0, spread, jnp.abs(mean))
