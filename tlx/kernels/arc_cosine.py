"""ReLU: the arc-cosine kernel of degree one, with its derivative in closed form.

With t the angle between a and b,
    K(a, b)  = |a||b| ( sin t + (pi - t) cos t ) / (2 pi),
    dK/da    = ( |b| sin(t) a/|a| + (pi - t) b ) / (2 pi).
Source: Cho and Saul (2009); the gradient as in Tian (2017).

Two numerical choices. (1) The derivative is given by hand (a custom rule): automatic differentiation of arccos
and sqrt is infinite at t = 0 and pi, where the kernel itself is once differentiable; by hand a gradient is one
elementwise function between two matrix products. (2) In float32 arccos(x) = sqrt(1 - x) P(x) with P of degree 8
(error below 5e-9, under float32 rounding), which compilers vectorise, five times faster than atan2. Rounding of
cos t moves t by 4e-4 near 0 and pi, but sin t and pi - t are computed from the same t, so that K and the gradient
are right to about 1e-7 of |a||b| all the same.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx.kernels._shapes import check_pair, unit_rows

# arccos(x) / sqrt(1 - x) on [0, 1]: Chebyshev interpolation of degree 8, ascending powers
ARCCOS_POLYNOMIAL = (
    *(1.57079632e00, -2.14601161e-01, 8.90301369e-02, -5.05935739e-02, 3.25711701e-02),
    *(-2.07276651e-02, 1.10283805e-02, -3.97457757e-03, 6.84531784e-04),
)


def angle_terms(cosine: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """(pi - t, sin t) for t = arccos(cosine), cosine in [-1, 1]; finite everywhere."""
    if cosine.dtype == jnp.float64:
        sine = jnp.sqrt((1 - cosine) * (1 + cosine))
        return np.pi - jnp.arctan2(sine, cosine), sine
    size = jnp.abs(cosine)
    root = jnp.sqrt(1 - size)
    series = jnp.full_like(size, ARCCOS_POLYNOMIAL[-1])
    for coefficient in ARCCOS_POLYNOMIAL[-2::-1]:
        series = series * size + coefficient
    acute = root * series
    return jnp.where(cosine >= 0, np.pi - acute, acute).astype(cosine.dtype), root * jnp.sqrt(1 + size)


def relu_gram(first: Float[Array, "k d"], second: Float[Array, "m d"]) -> Float[Array, "k m"]:
    """E[relu(a.x) relu(b.x)] = |a||b| (sin t + (pi - t) cos t)/(2 pi), x ~ N(0, I_d).

    Args:
        first: rows a, shape (k, d), any norms, zero included.
        second: rows b, shape (m, d).

    Returns:
        shape (k, m). Values and first derivatives are finite everywhere. At a = 0 the derivative in a is b/4,
        the mean of the one-sided ones (relu'(0) = 1/2). Second derivatives are those of the formula: they do
        not exist at t = 0, pi, or at zero rows.
    """
    check_pair(first, second)
    return _relu_gram(first, second)


@jax.custom_jvp
def _relu_gram(first: Array, second: Array) -> Array:
    size_a, size_b, cosine = _cosines(first, second)[:3]
    supplement, sine = angle_terms(cosine)
    return (size_a[:, None] * size_b[None, :]) * (sine + supplement * cosine) / (2 * np.pi)


@_relu_gram.defjvp
def _relu_gram_jvp(primals, tangents):
    first, second = primals
    size_a, size_b, cosine, unit_a, unit_b = _cosines(first, second)
    supplement, sine = angle_terms(cosine)
    value = (size_a[:, None] * size_b[None, :]) * (sine + supplement * cosine) / (2 * np.pi)
    growth_a = jnp.sum(tangents[0] * unit_a, axis=1)  # d|a|
    growth_b = jnp.sum(tangents[1] * unit_b, axis=1)
    radial = growth_a[:, None] * size_b[None, :] + size_a[:, None] * growth_b[None, :]
    turning = tangents[0] @ second.T + first @ tangents[1].T
    return value, (sine * radial + supplement * turning) / (2 * np.pi)


def _cosines(first: Array, second: Array) -> tuple[Array, Array, Array, Array, Array]:
    size_a, unit_a = unit_rows(first)
    size_b, unit_b = unit_rows(second)
    return size_a, size_b, jnp.clip(unit_a @ unit_b.T, -1, 1), unit_a, unit_b


def field(
    points: Float[Array, "k d"], neurons: Float[Array, "m d"], weights: Float[Array, " m"]
) -> tuple[Float[Array, " k"], Float[Array, "k d"]]:
    """v(a) = sum_j q_j K(a, b_j) and its gradient in a, for every row a of `points`: two matrix products.

    K is homogeneous of degree one in a, so v(a) = a . grad v(a) (Euler) and needs no third product.
    """
    _, size_b, cosine, unit_a, _ = _cosines(points, neurons)
    supplement, sine = angle_terms(cosine)
    turning = supplement @ (weights[:, None] * neurons)
    gradient = (turning + (sine @ (weights * size_b))[:, None] * unit_a) / (2 * np.pi)
    return jnp.sum(points * gradient, axis=1), gradient
