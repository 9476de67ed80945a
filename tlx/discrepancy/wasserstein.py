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
    first, second = _reduced_covariances(source, target)
    _, directions = jnp.linalg.eigh(first - second)
    spreads = [jnp.sqrt(jnp.maximum(jnp.sum(directions * (cov @ directions), axis=0), 0.0)) for cov in (first, second)]
    lower = np.sqrt(2 / np.pi) * jnp.max(jnp.abs(spreads[0] - spreads[1]))
    return lower, jnp.minimum(coupled, wasserstein_2(source=source, target=target))


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
    first, second = _reduced_covariances(source, target)
    values, vectors = jnp.linalg.eigh(first)
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]) @ vectors.T
    cross = jnp.linalg.eigvalsh(root @ second @ root)
    square = jnp.trace(first) + jnp.trace(second) - 2 * jnp.sum(jnp.sqrt(jnp.maximum(cross, 0.0)))
    return jnp.sqrt(jnp.maximum(square, 0.0))


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


def _reduced_covariances(source: LinearLaw, target: LinearLaw) -> tuple[Float[Array, "3 3"], Float[Array, "3 3"]]:
    """Covariances of (x projected on the plane of the two weight vectors, y); elsewhere the laws agree."""
    first, second = jnp.asarray(source.weights), jnp.asarray(target.weights)
    size = jnp.sqrt(jnp.sum(first**2))
    axis = first / jnp.where(size > 0, size, 1.0)
    along = axis @ second
    across = jnp.sqrt(jnp.maximum(jnp.sum((second - along * axis) ** 2), 0.0))
    zero, one = jnp.zeros_like(size), jnp.ones_like(size)

    def covariance(left, right, noise):
        rows = [[one, zero, left], [zero, one, right], [left, right, left**2 + right**2 + jnp.asarray(noise) ** 2]]
        return jnp.stack([jnp.stack(row) for row in rows])

    return covariance(size, zero, source.noise_std), covariance(along, across, target.noise_std)


def _folded_mean(mean: Float[Array, " n"], std: Float[Array, ""]) -> Float[Array, " n"]:
    """E|mean + std e| for standard normal e."""
    safe = jnp.where(std > 0, std, 1.0)
    spread = np.sqrt(2 / np.pi) * safe * jnp.exp(-(mean**2) / (2 * safe**2)) + mean * erf(mean / (np.sqrt(2) * safe))
    return jnp.where(std > 0, spread, jnp.abs(mean))
