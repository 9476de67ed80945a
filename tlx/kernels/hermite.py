"""Any other activation: Gaussian expectations by Gauss-Hermite quadrature, with an error bound.

With h_l(s) = E[phi(s z) He_l(z)] / sqrt(l!), z ~ N(0, 1), and u the cosine of the angle between a and b (Mehler),
    E[phi(a.x) phi(b.x)] = sum_l h_l(|a|) h_l(|b|) u^l,
so one-dimensional quadrature for each row is enough. Cutting the sum after `order` costs at most
sqrt(tail(|a|) tail(|b|)) |u|^(order+1), tail(s) = E[phi(s z)^2] - sum_{l <= order} h_l(s)^2 (Cauchy-Schwarz).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx._checks import check_count, require
from tlx.kernels._shapes import check_pair, unit_rows


class HermiteGram(NamedTuple):
    """A Gram matrix, and a bound on the truncation error of each entry (that of the quadrature comes on top)."""

    gram: Float[Array, "k m"]
    truncation_bound: Float[Array, "k m"]


def hermite_gram(
    activation: Callable[[Array], Array],
    first: Float[Array, "k d"],
    second: Float[Array, "m d"],
    *,
    order: int = 24,
    num_nodes: int = 96,
) -> HermiteGram:
    """E[phi(a.x) phi(b.x)] for any elementwise activation phi, x ~ N(0, I_d).

    Args:
        activation: phi, elementwise, of at most polynomial growth.
        first, second: rows a (k, d) and b (m, d), any norms, zero included.
        order: highest Hermite degree kept (static).
        num_nodes: quadrature nodes (static), more than `order`. The quadrature is exact for polynomials phi of
            degree < 2 num_nodes - order, converges fast for smooth phi and slowly (1/num_nodes) for kinks and
            jumps: double num_nodes to see its error, or use a closed form or `sampled_gram`.
    """
    check_pair(first, second)
    check_count("order", order, 0)
    require(num_nodes > order, f"num_nodes = {num_nodes} cannot resolve order = {order}; take num_nodes > order.")
    size_a, unit_a = unit_rows(first)
    size_b, unit_b = unit_rows(second)
    series_a, tail_a = _coefficients(activation, size_a, order, num_nodes)
    series_b, tail_b = _coefficients(activation, size_b, order, num_nodes)
    cosine = jnp.clip(unit_a @ unit_b.T, -1, 1)
    gram = jnp.zeros_like(cosine)
    for degree in range(order, -1, -1):  # Horner in the cosine
        gram = gram * cosine + jnp.outer(series_a[:, degree], series_b[:, degree])
    bound = jnp.sqrt(jnp.outer(tail_a, tail_b)) * jnp.abs(cosine) ** (order + 1)
    return HermiteGram(gram, bound)


def _coefficients(activation: Callable, sizes: Array, order: int, num_nodes: int) -> tuple[Array, Array]:
    """h_l(s), shape (rows, order + 1), and the tail's energy, shape (rows,)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    weights = weights / weights.sum()
    basis = np.empty((order + 1, num_nodes))  # orthonormal Hermite polynomials at the nodes
    basis[0] = 1
    for degree in range(order):
        before = np.sqrt(degree) * basis[degree - 1] if degree else 0
        basis[degree + 1] = (nodes * basis[degree] - before) / np.sqrt(degree + 1)
    values = activation(sizes[:, None] * jnp.asarray(nodes, sizes.dtype)[None, :])
    series = values @ jnp.asarray((basis * weights).T, sizes.dtype)
    tail = values**2 @ jnp.asarray(weights, sizes.dtype) - jnp.sum(series**2, axis=1)
    return series, jnp.maximum(tail, 0)
