"""Training on fresh samples: stochastic gradient descent that never sees a sample twice.

The loss of a step is a function of the weights and of that step's key; the population loss is never needed, so
this serves any activation and any target.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from tlx import _keys
from tlx.train.optimizer import Optimizer
from tlx.train.result import DIVERGENCE_FACTOR, Status, TrainResult, relative_rate


def train_online(
    loss: Callable[[PyTree, Array], Float[Array, ""]], params: PyTree, optimizer: Optimizer, key: Array
) -> TrainResult:
    """Take `optimizer.num_steps` steps, each on a sample of its own.

    Args:
        loss: (weights, key of the step) -> loss on that step's fresh sample.
        params: any pytree of weights.
        optimizer: the rule; its tolerance is not used (a stochastic gradient does not vanish). The step size
            falls to zero as a half cosine, so that the noise of the last steps averages out.
        key: the stream of samples.

    Returns:
        A `TrainResult`: MAX_STEPS, or DIVERGED if the loss on one more fresh sample is not a number or 10^4
        times what it was at the start, or NON_FINITE if it was not a number at the start. `loss` is that one.
    """
    rule = optimizer.transformation()
    begin = loss(params, _keys.named(key, "start"))

    def step(count, carry):
        weights, memory = carry
        slope = jax.grad(loss)(weights, _keys.lane(key, count))
        updates, memory = rule.update(slope, memory, weights)
        fade = 0.5 * (1 + jnp.cos(jnp.pi * count / optimizer.num_steps)).astype(begin.dtype)
        return optax.apply_updates(weights, jax.tree.map(lambda u: fade.astype(u.dtype) * u, updates)), memory

    weights, _ = jax.lax.fori_loop(0, optimizer.num_steps, step, (params, rule.init(params)))
    value, slope = jax.value_and_grad(loss)(weights, _keys.named(key, "end"))
    blown = ~jnp.isfinite(value) | (value > DIVERGENCE_FACTOR * jnp.maximum(begin, 1))
    status = jnp.where(blown, Status.DIVERGED, Status.MAX_STEPS)
    status = jnp.where(jnp.isfinite(begin), status, Status.NON_FINITE).astype(jnp.int32)
    rate, _ = relative_rate(slope, weights)
    return TrainResult(weights, status, jnp.asarray(optimizer.num_steps, jnp.int32), value, rate, None)
