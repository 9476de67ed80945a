"""Gram matrices of any features by Monte Carlo, each entry with its standard error."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx._checks import check_count

BLOCK_ROWS = 1000  # inputs held at once


class SampledGram(NamedTuple):
    """A Monte Carlo estimate and the standard error of each entry."""

    gram: Float[Array, "k m"]
    standard_error: Float[Array, "k m"]


def sampled_gram(
    key: Array,
    first: Callable[[Float[Array, "n d"]], Float[Array, "n k"]],
    second: Callable[[Float[Array, "n d"]], Float[Array, "n m"]],
    *,
    dim: int,
    num_samples: int = 100_000,
) -> SampledGram:
    """E[f_i(x) g_j(x)], x ~ N(0, I_d), for any two feature maps, from fresh samples.

    Args:
        key: names the sample.
        first, second: feature maps, inputs (n, d) -> features (n, k) and (n, m).
        dim: d.
        num_samples: samples used, rounded up to a multiple of 1000.

    Returns:
        The mean of the products and its standard error, sample standard deviation / sqrt(num_samples).
    """
    check_count("dim", dim)
    check_count("num_samples", num_samples, 2, remedy="A standard error needs two samples.")
    num_blocks = -(-num_samples // BLOCK_ROWS)

    def block(sums, block_key):
        inputs = jax.random.normal(block_key, (BLOCK_ROWS, dim))
        left, right = first(inputs), second(inputs)
        return (sums[0] + left.T @ right / num_blocks, sums[1] + (left**2).T @ right**2 / num_blocks), None

    shapes = (jax.eval_shape(f, jax.ShapeDtypeStruct((1, dim), jnp.result_type(float))) for f in (first, second))
    k, m = (shape.shape[1] for shape in shapes)
    zero = jnp.zeros((k, m))
    sums, _ = jax.lax.scan(block, (zero, zero), jax.random.split(key, num_blocks))
    mean, square = sums[0] / BLOCK_ROWS, sums[1] / BLOCK_ROWS
    count = num_blocks * BLOCK_ROWS
    return SampledGram(mean, jnp.sqrt(jnp.maximum(square - mean**2, 0) / (count - 1)))
