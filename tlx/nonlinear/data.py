"""The target sample of one instance, nested in size: n samples are the first n rows of one draw.

Every size has its own static shape, chosen once, before training: a step on n rows costs n rows.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree


class Sample(NamedTuple):
    """Inputs and labels, as many rows as the largest size."""

    inputs: Float[Array, "n ..."]
    labels: Float[Array, " n"]


def draw(key: Array, draw_inputs: Callable, target: Callable, noise_std: float | Array, *, num_samples: int) -> Sample:
    """x by `draw_inputs(key, n)`, y = target(x) + noise_std N(0, 1)."""
    inputs_key, noise_key = jax.random.split(key)
    inputs = draw_inputs(inputs_key, num_samples)
    return Sample(inputs, target(inputs) + noise_std * jax.random.normal(noise_key, (num_samples,)))


def at_size(
    function: Callable[[Sample], PyTree], sample: Sample, sizes: tuple[int, ...], index: Int[Array, ""] | int
) -> PyTree:
    """`function` of the first sizes[index] rows; the index may be traced, and then every size is compiled, and one run.

    Lanes side by side that differ in their index would each run every size: give one size to all of them.

    Args:
        function: of a `Sample`; it returns arrays of the same shapes at every size.
        sample: at least max(sizes) rows.
        sizes: static.
        index: which size.
    """

    def first(count: int, rows: Sample) -> PyTree:
        return function(Sample(rows.inputs[:count], rows.labels[:count]))

    return jax.lax.switch(jnp.asarray(index), [partial(first, count) for count in sizes], sample)


class SampleMoments(NamedTuple):
    """F^T F / n and F^T y / n over n rows."""

    covariance: Float[Array, "m m"]
    cross: Float[Array, " m"]


def feature_moments(features: Callable, rows: Sample) -> SampleMoments:
    """Second moments of features (n, d) -> (n, m) on all rows of a sample."""
    values, count = features(rows.inputs), rows.labels.shape[0]
    return SampleMoments(values.T @ values / count, values.T @ rows.labels / count)
