"""The target sample of one instance, nested in size: n samples are the first n rows of one draw.

Every size has its own static shape, chosen inside the loss by a switch on the gradient alone, so one compiled
training loop serves all sizes and a step on n rows costs n rows.
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


def squared_loss(apply: Callable, sample: Sample, sizes: tuple[int, ...], index: Int[Array, ""] | int) -> Callable:
    """weights -> (1/n) sum_{i < n} (f(x_i) - y_i)^2 with n = sizes[index].

    Args:
        apply: weights, inputs -> f(x).
        sample: at least max(sizes) rows.
        sizes: static.
        index: which size, may be traced. The gradient is computed inside the chosen branch: differentiating
            through the switch would carry the other sizes' intermediate results along.
    """

    def prefix(count: int, weights: PyTree, data: Sample) -> Array:
        return jnp.mean((apply(weights, data.inputs[:count]) - data.labels[:count]) ** 2)

    branches = [partial(prefix, count) for count in sizes]
    slopes = [jax.value_and_grad(branch) for branch in branches]

    @jax.custom_jvp
    def loss(weights: PyTree, data: Sample, which: Array) -> Array:
        return jax.lax.switch(which, branches, weights, data)

    @loss.defjvp
    def _loss_jvp(primals, tangents):
        value, slope = jax.lax.switch(primals[2], slopes, primals[0], primals[1])
        return value, sum(jnp.vdot(g, t) for g, t in zip(*map(jax.tree.leaves, (slope, tangents[0])), strict=True))

    return lambda weights: loss(weights, sample, jnp.asarray(index))


class SampleMoments(NamedTuple):
    """F^T F / n and F^T y / n over the first n rows."""

    covariance: Float[Array, "m m"]
    cross: Float[Array, " m"]


def feature_moments(
    features: Callable, sample: Sample, sizes: tuple[int, ...], index: Int[Array, ""] | int
) -> SampleMoments:
    """Second moments of features (n, d) -> (n, m) on the first sizes[index] rows; the index may be traced."""

    def prefix(count: int, data: Sample) -> SampleMoments:
        values = features(data.inputs[:count])
        return SampleMoments(values.T @ values / count, values.T @ data.labels[:count] / count)

    return jax.lax.switch(jnp.asarray(index), [partial(prefix, count) for count in sizes], sample)
