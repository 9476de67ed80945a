"""erf: the arc-sine kernel. Convention: phi(z) = erf(z / sqrt 2) = 2 Prob(N(0,1) < z) - 1, so E phi' = sqrt(2/pi) at 0.

    K(a, b) = (2/pi) arcsin( a.b / sqrt((1 + |a|^2)(1 + |b|^2)) ),
    dK/da   = (2/pi) ( b - a (a.b)/(1 + |a|^2) ) / sqrt(D),    D = (1 + |a|^2)(1 + |b|^2) - (a.b)^2 >= 1.
Source: Saad and Solla (1995), who use the same convention; for erf(z) itself scale the rows by sqrt 2 (Williams 1997).
arcsin is evaluated as arctan(a.b / sqrt D): D is at least 1, so nothing is singular, however long the rows.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx.kernels._shapes import check_pair


def erf(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """The activation erf(z / sqrt 2), the convention of this module."""
    return jax.lax.erf(value * np.sqrt(0.5).astype(value.dtype))


def erf_gram(first: Float[Array, "k d"], second: Float[Array, "m d"]) -> Float[Array, "k m"]:
    """E[phi(a.x) phi(b.x)], phi(z) = erf(z/sqrt 2), x ~ N(0, I_d): (2/pi) arcsin of the scaled inner product.

    Args:
        first: rows a, shape (k, d), any norms, zero included (the kernel is then 0).
        second: rows b, shape (m, d).

    Returns:
        shape (k, m); smooth everywhere.
    """
    check_pair(first, second)
    return _erf_gram(first, second)


@jax.custom_jvp
def _erf_gram(first: Array, second: Array) -> Array:
    product, _, _, root = _parts(first, second)
    return (2 / np.pi) * jnp.arctan(product / root)


@_erf_gram.defjvp
def _erf_gram_jvp(primals, tangents):
    first, second = primals
    product, power_a, power_b, root = _parts(first, second)
    growth_a = jnp.sum(first * tangents[0], axis=1) / power_a
    growth_b = jnp.sum(second * tangents[1], axis=1) / power_b
    turning = tangents[0] @ second.T + first @ tangents[1].T
    slope = turning - product * (growth_a[:, None] + growth_b[None, :])
    return (2 / np.pi) * jnp.arctan(product / root), (2 / np.pi) * slope / root


def _parts(first: Array, second: Array) -> tuple[Array, Array, Array, Array]:
    product = first @ second.T
    power_a = 1 + jnp.sum(first**2, axis=1)
    power_b = 1 + jnp.sum(second**2, axis=1)
    determinant = power_a[:, None] * power_b[None, :] - product**2
    return product, power_a, power_b, jnp.sqrt(jnp.maximum(determinant, 1))


def field(
    points: Float[Array, "k d"], neurons: Float[Array, "m d"], weights: Float[Array, " m"]
) -> tuple[Float[Array, " k"], Float[Array, "k d"]]:
    """v(a) = sum_j q_j K(a, b_j) and its gradient in a, for every row a of `points`: two matrix products."""
    product, power_a, _, root = _parts(points, neurons)
    value = (2 / np.pi) * (jnp.arctan(product / root) @ weights)
    turning = (1 / root) @ (weights[:, None] * neurons)
    radial = (product / root) @ weights / power_a
    return value, (2 / np.pi) * (turning - radial[:, None] * points)
