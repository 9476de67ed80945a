"""A small convolutional network on 8 x 8 images, and a task on images in which the place of a pattern does not matter.

python -m experiments.relu_phase_diagram network.custom=experiments.examples.convolution:network \\
    task.custom=experiments.examples.convolution:task pretraining.loss=online optimizer.name=adam \\
    optimizer.learning_rate=0.01 grid.amounts=4
"""

import jax
import jax.numpy as jnp
from flax import linen
from jaxtyping import Array, Float

from tlx.nonlinear import CustomTask, FlaxModel

SIDE = 8
NUM_PATTERNS, PATTERN = 2, 3  # patterns of 3 x 3 pixels that the target looks for
SCALE = 8.0  # makes E f_t^2 about 1


class Convolution(linen.Module):
    """Filters of 3 x 3 pixels, how strongly each of them answers anywhere, and a dense layer on that."""

    filters: int = 8

    @linen.compact
    def __call__(self, images: Float[Array, "n 8 8 1"]) -> Float[Array, "n 1"]:
        """One number an image."""
        answers = linen.relu(linen.Conv(self.filters, (PATTERN, PATTERN), padding="VALID")(images))
        return linen.Dense(1)(jnp.mean(answers, axis=(1, 2)))


def network(width: int = 8) -> FlaxModel:
    """The network, with `network.width` filters; its features are the mean answers of the filters."""
    return FlaxModel(Convolution(width), (SIDE, SIDE, 1))


def task() -> CustomTask:
    """Images of white noise; target: how far two patterns of the instance are found anywhere in the image.

    The source looks for patterns turned away from the target's by the angle amount * pi/2.
    """
    return CustomTask(images, source, target)


def images(key: Array, num_samples: int) -> Float[Array, "n 8 8 1"]:
    """Independent pixels N(0, 1)."""
    return jax.random.normal(key, (num_samples, SIDE, SIDE, 1))


def source(key: Array, amount: Array, inputs: Float[Array, "n 8 8 1"]) -> Float[Array, " n"]:
    """What the network is pretrained on."""
    own, other = _patterns(key)
    angle = amount * jnp.pi / 2
    return _found(jnp.cos(angle) * own + jnp.sin(angle) * other, inputs)


def target(key: Array, inputs: Float[Array, "n 8 8 1"]) -> Float[Array, " n"]:
    """What it is transferred to."""
    return _found(_patterns(key)[0], inputs)


def _patterns(key: Array) -> Float[Array, "2 3 3 1 k"]:
    """Two sets of patterns of norm 1."""
    drawn = jax.random.normal(key, (2, PATTERN, PATTERN, 1, NUM_PATTERNS))
    return drawn / jnp.linalg.norm(drawn.reshape(2, -1, NUM_PATTERNS), axis=1)[:, None, None, None, :]


def _found(patterns: Float[Array, "3 3 1 k"], inputs: Float[Array, "n 8 8 1"]) -> Float[Array, " n"]:
    """SCALE times the mean of relu(pattern . patch) over the image, the first pattern less the second."""
    layout = ("NHWC", "HWIO", "NHWC")
    answers = jax.lax.conv_general_dilated(inputs, patterns, (1, 1), "VALID", dimension_numbers=layout)
    strength = jnp.mean(jax.nn.relu(answers), axis=(1, 2))
    return SCALE * (strength[:, 0] - strength[:, 1])
