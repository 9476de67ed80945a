"""Step sizes and times of a linear setting: when to record, how the head alone is trained, what is stable."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx.linear.data import Moments
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer


def record_steps(times: tuple[float, ...], rule: Optimizer) -> Int[Array, " t"]:
    """The steps of a rule nearest to the times t = learning_rate * steps / (1 - momentum); at most its last one."""
    pace = jnp.asarray(rule.learning_rate) / (1 - rule.momentum)
    return jnp.minimum(jnp.rint(jnp.asarray(times, pace.dtype) / pace), rule.num_steps).astype(jnp.int32)


def head_rule(setting: LinearSetting) -> Optimizer:
    """How the last layer alone is trained: as in fine-tuning, its weight decay that of the first ridge."""
    return dataclasses.replace(setting.fine_tune, weight_decay=2 * jnp.asarray(setting.ridges)[0])


def stable_learning_rate(setting: LinearSetting, data: Moments, top: Array | None = None) -> Float[Array, ""]:
    """A step size at which gradient descent on this data set is stable: 1 / (L lambda_max rho^(2 - 2/L)).

    At a balanced rank-one chain of end-to-end norm rho the loss has curvature at most 2 L lambda_max rho^(2-2/L),
    lambda_max being the largest eigenvalue of X^T X / n (by power iteration, to about 1 %), and descent is stable
    below 2 / curvature. rho is taken as the larger of |beta_s| and the root mean square label, so the bound is an
    estimate: chains that grow beyond that (interpolation near n = d) need less. `top` is lambda_max where it is known.
    """

    def iterate(_, vector):
        vector = data.covariance @ vector
        return vector / jnp.linalg.norm(vector)

    if top is None:
        ones = jnp.ones_like(data.cross)
        vector = jax.lax.fori_loop(0, 50, iterate, ones / jnp.linalg.norm(ones))
        top = vector @ (data.covariance @ vector)
    norm = jnp.maximum(setting.source_norm, jnp.sqrt(data.label_power))
    return 1 / (setting.depth * top * norm ** (2 - 2 / setting.depth))
