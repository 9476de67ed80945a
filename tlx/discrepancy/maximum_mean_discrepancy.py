"""Maximum mean discrepancy with a Gaussian kernel between two tasks' joint laws."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx._checks import check_positive, require
from tlx.discrepancy.laws import LinearLaw, check_laws, check_samples


def maximum_mean_discrepancy(*, source: LinearLaw, target: LinearLaw, bandwidth: float | Array) -> Float[Array, ""]:
    """MMD for the kernel exp(-|z - z'|²/(2 l²)) on z = (x, y), exact for two linear laws.

    MMD² = K(s, s) + K(t, t) - 2 K(s, t),   K(a, b) = det(I + (S_a + S_b)/l²)^{-1/2}
         = (1 + 2/l²)^{-d/2} (1 + (|b_a|² + sigma_a² + |b_b|² + sigma_b²)/l² - |b_a + b_b|²/(l⁴ + 2 l²))^{-1/2}.

    Args:
        source: linear law, noise_std >= 0.
        target: linear law, noise_std >= 0.
        bandwidth: l > 0.

    Returns:
        The distance (not squared). Ceiling sqrt(2) (1 + 2/l²)^{-d/4}: at a bandwidth of order one it is small in
        high dimension
        whatever the tasks. Network laws: `maximum_mean_discrepancy_sample`.
    """
    check_laws(source, target, noisy=False)
    require(
        isinstance(source, LinearLaw) and isinstance(target, LinearLaw),
        "The closed form is for two linear laws: use maximum_mean_discrepancy_sample.",
    )
    check_positive("bandwidth", bandwidth)
    scale = jnp.asarray(bandwidth) ** 2

    def mean_kernel(one: LinearLaw, other: LinearLaw) -> Array:
        first, second = jnp.asarray(one.weights), jnp.asarray(other.weights)
        power = jnp.sum(first**2) + jnp.sum(second**2)
        power = power + jnp.asarray(one.noise_std) ** 2 + jnp.asarray(other.noise_std) ** 2
        schur = 1 + power / scale - jnp.sum((first + second) ** 2) / (scale**2 + 2 * scale)
        return (1 + 2 / scale) ** (-first.shape[0] / 2) / jnp.sqrt(schur)

    square = mean_kernel(source, source) + mean_kernel(target, target) - 2 * mean_kernel(source, target)
    return jnp.sqrt(jnp.maximum(square, 0.0))


def maximum_mean_discrepancy_sample(
    *,
    source: Float[np.ndarray, "n width"],
    target: Float[np.ndarray, "m width"],
    bandwidth: float,
    unbiased: bool = True,
) -> float:
    """MMD² (squared) from two samples, for the kernel exp(-|z - z'|²/(2 l²)).

    Args:
        source: (n, width) points, n >= 2, for instance `joint_points(X, y)`.
        target: (m, width), m >= 2.
        bandwidth: l > 0.
        unbiased: leave out the pairs of a point with itself (U-statistic). Unbiased, and may be negative.

    Returns:
        MMD². With `unbiased=False` (V-statistic, the MMD of the samples) it is too large by
        (1 - K(s, s))/n + (1 - K(t, t))/m, K the mean kernel over independent pairs of one law.
    """
    source, target = check_samples(source, target, minimum=2)
    check_positive("bandwidth", bandwidth)

    def kernel(left, right):
        squares = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1)[None, :] - 2 * left @ right.T
        return np.exp(-np.maximum(squares, 0.0) / (2 * bandwidth**2))

    def within(points):
        total, count = np.sum(kernel(points, points)), len(points)
        return (total - count) / (count * (count - 1)) if unbiased else total / count**2

    return float(within(source) + within(target) - 2 * np.mean(kernel(source, target)))
