"""A small attention block on sequences of 6 tokens, and a task in which one token says which other one matters.

python -m experiments.relu_phase_diagram network.custom=experiments.examples.attention:network \\
    task.custom=experiments.examples.attention:task pretraining.loss=online optimizer.name=adam \\
    optimizer.learning_rate=0.01 grid.amounts=4
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tlx.nonlinear import CustomTask, FlaxModel

TOKENS, SIZE = 6, 4  # tokens in a sequence, numbers in a token
SHARPNESS = 2.0  # of the target's attention
SCALE = 1.2  # makes E f_t^2 about 1


class Attention(nnx.Module):
    """Self-attention of two heads with a connection around it, a hidden layer on the first token, a dense layer."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(2, SIZE, qkv_features=2 * SIZE, decode=False, rngs=rngs)
        self.hidden = nnx.Linear(SIZE, width, rngs=rngs)
        self.head = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, sequences: Float[Array, "n 6 4"]) -> Float[Array, "n 1"]:
        """One number a sequence."""
        first = (sequences + self.attention(sequences))[:, 0]
        return self.head(nnx.relu(self.hidden(first)))


def network(width: int = 16) -> FlaxModel:
    """The network, with `network.width` hidden neurons; its features are those neurons and a constant."""
    return FlaxModel(functools.partial(Attention, width), (TOKENS, SIZE))


def task() -> CustomTask:
    """Tokens of white noise; target: a linear function of the tokens, the more of one the more it resembles the first.

    The source reads another direction off the tokens, turned away from the target's by the angle amount * pi/2.
    """
    return CustomTask(sequences, source, target)


def sequences(key: Array, num_samples: int) -> Float[Array, "n 6 4"]:
    """Independent numbers N(0, 1)."""
    return jax.random.normal(key, (num_samples, TOKENS, SIZE))


def source(key: Array, amount: Array, inputs: Float[Array, "n 6 4"]) -> Float[Array, " n"]:
    """What the network is pretrained on."""
    own, other = _directions(key)
    angle = amount * jnp.pi / 2
    return _attended(jnp.cos(angle) * own + jnp.sin(angle) * other, inputs)


def target(key: Array, inputs: Float[Array, "n 6 4"]) -> Float[Array, " n"]:
    """What it is transferred to."""
    return _attended(_directions(key)[0], inputs)


def _directions(key: Array) -> Float[Array, "2 4"]:
    """Two orthogonal directions of length 1."""
    return jnp.linalg.qr(jax.random.normal(key, (SIZE, 2)))[0].T


def _attended(direction: Float[Array, " 4"], inputs: Float[Array, "n 6 4"]) -> Float[Array, " n"]:
    """SCALE times the direction's part of a mean over tokens, weighted by their likeness to the first token."""
    likeness = jnp.einsum("nts,ns->nt", inputs, inputs[:, 0]) / SIZE
    weights = jax.nn.softmax(SHARPNESS * likeness, axis=1)
    return SCALE * jnp.einsum("nt,nts,s->n", weights, inputs, direction)
