"""Mini-batches of a target sample: which rows a step sees, and its loss.

With replacement the rows of a batch are drawn independently, step by step. Without, every epoch goes through the whole
sample in an order of its own, floor(n / B) batches of B rows; rows beyond the last whole batch wait for another epoch.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tlx import _keys
from tlx._checks import concrete, require
from tlx.linear import data
from tlx.linear.setting import LinearSetting

Rows = tuple[Float[Array, "n d"], Float[Array, " n"]]


def check(setting: LinearSetting, num_samples: Int[Array | np.ndarray, "..."] | int) -> None:
    """Refuse a batch larger than the sample, and a sample larger than the rows that are held."""
    count = concrete(num_samples)
    if setting.batch_size is None or count is None:
        return
    require(
        bool((count >= setting.batch_size).all()),
        f"batch_size = {setting.batch_size} is larger than the target sample of {count.min()} rows; lower it.",
    )
    most = setting.max_samples
    require(
        most is None or bool((count <= most).all()),
        f"max_samples = {most} holds fewer rows than the target sample of {count.max()}; raise it, or pass None.",
    )


def held(setting: LinearSetting, num_samples: np.ndarray) -> LinearSetting:
    """The setting with rows enough for the largest of these samples, where it draws mini-batches; checked."""
    check(setting, num_samples)
    if setting.batch_size is None or setting.max_samples is not None:
        return setting
    return dataclasses.replace(setting, max_samples=int(np.max(num_samples)))


def rows(
    setting: LinearSetting, stream: Array, target: Array, spectrum: Array, num_samples: Int[Array, ""] | int
) -> Rows:
    """The rows whose moments `data.sample_moments` gives for the same stream, padded to max_samples with rows that no
    batch reaches."""
    check(setting, num_samples)
    most = setting.max_samples
    if most is None:
        require(
            concrete(num_samples) is not None,
            f"batch_size = {setting.batch_size} with a traced number of samples needs max_samples; pass the largest.",
        )
        most = int(num_samples)
    return data.draw(stream, target, spectrum, setting.noise_std, most)


def loss(
    key: Array, setting: LinearSetting, sample: Rows, num_samples: Array, predictor: Array, step: Array
) -> Float[Array, ""]:
    """The mean squared error of a predictor on the batch of one step.

    Args:
        key: the stream of batches of this training run.
        setting: its batch_size B and replacement.
        sample: inputs (rows, d) in the predictor's basis, and labels (rows,).
        num_samples: n <= rows.
        predictor: beta, shape (d,).
        step: from 0.
    """
    inputs, labels = sample
    count = jnp.asarray(num_samples).astype(jnp.int32)
    if setting.replacement:
        chosen = jax.random.randint(_keys.lane(key, step), (setting.batch_size,), 0, count)
    else:
        per_epoch = count // setting.batch_size
        place = jax.random.uniform(_keys.lane(key, step // per_epoch), labels.shape)
        order = jnp.argsort(jnp.where(jnp.arange(labels.shape[0]) < count, place, 2.0))
        chosen = jax.lax.dynamic_slice_in_dim(order, (step % per_epoch) * setting.batch_size, setting.batch_size)
    return jnp.mean((inputs[chosen] @ predictor - labels[chosen]) ** 2)
