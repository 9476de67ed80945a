"""Networks of any depth and activation through Flax, as pure functions of a pytree of weights.

`flax.nnx` stays at the boundary: a module is split once into a static graph and its weights, and merged inside
pure functions, so that training, batching and differentiation see nothing but a pytree.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PyTree

from tlx._checks import check_count, check_positive, require
from tlx.kernels import activation_function


class MLP(nnx.Module):
    """A multilayer perceptron with scalar output: hidden layers with biases, then a linear head without one."""

    def __init__(self, dim: int, widths: tuple[int, ...], activation: str, init_scale: float, rngs: nnx.Rngs) -> None:
        gain = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")
        head = jax.nn.initializers.variance_scaling(init_scale**2, "fan_in", "normal")
        sizes, dtype = (dim, *widths), jnp.result_type(float)  # Flax would make float32 of float64 as well
        linear = functools.partial(nnx.Linear, param_dtype=dtype, rngs=rngs)
        self.hidden = nnx.List([linear(a, b, kernel_init=gain) for a, b in itertools.pairwise(sizes)])
        self.head = linear(widths[-1], 1, use_bias=False, kernel_init=head)
        self.activation = activation

    def features(self, inputs: Array) -> Array:
        """The last hidden layer's activations."""
        for layer in self.hidden:
            inputs = activation_function(self.activation)(layer(inputs))
        return inputs

    def __call__(self, inputs: Array) -> Array:
        """f(x), one number a row."""
        return self.head(self.features(inputs))[:, 0]


class Network(NamedTuple):
    """Pure functions of a pytree of weights, made from a Flax module with the methods of `MLP`.

    Attributes:
        start: key -> weights.
        apply: weights, inputs (n, d) -> f(x), shape (n,).
        features: weights, inputs (n, d) -> last hidden layer / sqrt(its width), shape (n, m).
        refit: weights, coefficients (m,) of those features -> weights with that head.
    """

    start: Callable[[Array], PyTree]
    apply: Callable[[PyTree, Float[Array, "n d"]], Float[Array, " n"]]
    features: Callable[[PyTree, Float[Array, "n d"]], Float[Array, "n m"]]
    refit: Callable[[PyTree, Float[Array, " m"]], PyTree]


def network(make: Callable[[nnx.Rngs], nnx.Module], width: int) -> Network:
    """The pure functions of any Flax module with `features`, `head` (nnx.Linear without bias) and `__call__`.

    Args:
        make: builds the module from its random streams.
        width: size of the last hidden layer, m.
    """
    graph = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    scale = width**-0.5

    def start(key: Array) -> PyTree:
        return nnx.to_pure_dict(nnx.state(make(nnx.Rngs(params=key)), nnx.Param))

    def merge(weights: PyTree) -> nnx.Module:
        state = nnx.state(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param)
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state)

    def refit(weights: PyTree, coefficients: Array) -> PyTree:
        return {**weights, "head": {**weights["head"], "kernel": coefficients[:, None] * scale}}

    return Network(
        start,
        lambda weights, inputs: merge(weights)(inputs),
        lambda weights, inputs: merge(weights).features(inputs) * scale,
        refit,
    )


def mlp(*, dim: int, widths: tuple[int, ...], activation: str, init_scale: float = 1.0) -> Network:
    """A multilayer perceptron f(x) = a . h_L, h_l = phi(W_l h_{l-1} + b_l), h_0 = x.

    Args:
        dim: input dimension d.
        widths: sizes of the hidden layers, one or more (static).
        activation: one of `tlx.kernels.ACTIVATIONS`.
        init_scale: scale of the head at the start; hidden layers start with variance 2/fan_in.
    """
    check_count("dim", dim)
    require(len(widths) > 0, "widths = () leaves no hidden layer; for linear regression use networks.deep_linear.")
    for width in widths:
        check_count("width", width, remedy="A hidden layer needs a neuron.")
    check_positive("init_scale", init_scale)
    activation_function(activation)
    return network(lambda rngs: MLP(dim, tuple(widths), activation, init_scale, rngs), widths[-1])
