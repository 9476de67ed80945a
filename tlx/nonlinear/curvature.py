"""A step size that the loss can bear where training starts, from its largest curvature.

A head refitted on frozen features can be large, and with it the curvature in the layers below: the step size that
suits a fresh network then diverges. Gradient descent with momentum b is stable below 2 (1 + b) / curvature.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from tlx.train import Optimizer

NUM_ITERATIONS = 20
MARGIN = 0.5  # of the stability limit 2 / curvature, for curvature that grows on the way


def largest_curvature(loss: Callable[[PyTree], Array], weights: PyTree) -> Float[Array, ""]:
    """The largest |eigenvalue| of the loss's Hessian, by power iteration from the gradient, to a few per cent."""
    gradient = jax.grad(loss)

    def iterate(_, carry):
        vector, _ = carry
        image = jax.jvp(gradient, (weights,), (vector,))[1]
        size = optax.tree.norm(image)
        return jax.tree.map(lambda v: v / jnp.where(size > 0, size, 1), image), size

    # the weights beside the gradient: a gradient that vanishes, that of a fitted start, leaves nothing
    slope = gradient(weights)
    size = optax.tree.norm(slope)
    mixed = jax.tree.map(lambda g, w: g / jnp.where(size > 0, size, 1) + w, slope, weights)
    scale = optax.tree.norm(mixed)
    begin = jax.tree.map(lambda v: v / jnp.where(scale > 0, scale, 1), mixed)
    return jax.lax.fori_loop(0, NUM_ITERATIONS, iterate, (begin, jnp.zeros_like(size)))[1]


def stable(optimizer: Optimizer, loss: Callable[[PyTree], Array], weights: PyTree) -> Optimizer:
    """The optimizer with its step size cut to MARGIN * 2 / curvature at `weights` where it is above that.

    Adam's step size is not in units of the curvature and stays.
    """
    if optimizer.name == "adam":
        return optimizer
    curvature = largest_curvature(loss, weights)
    limit = jnp.where(curvature > 0, 2 * MARGIN / jnp.where(curvature > 0, curvature, 1), jnp.inf)
    rate = jnp.minimum(jnp.asarray(optimizer.learning_rate, limit.dtype), limit)
    return dataclasses.replace(optimizer, learning_rate=rate)
