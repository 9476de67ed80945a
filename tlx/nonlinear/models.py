"""What a protocol needs of a network, and the networks of this library that have it.

Models are static (hashable) descriptions; the weights are pytrees.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx._checks import check_choice, check_count, check_positive
from tlx.kernels import ACTIVATIONS, CLOSED_FORMS, activation_function
from tlx.networks import mean_field, mlp
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear.overlap import FeatureMoments, exact_moments
from tlx.train import Optimizer


@runtime_checkable
class Model(Protocol):
    """What the protocols need of a network. A network of one's own may derive from it, or just have its methods.

    It must be hashable, as a frozen dataclass is: compiled programs are kept by it. `FlaxModel` makes one of any Flax
    module.

    Attributes:
        dim: numbers in one input; teachers have the same.
    """

    dim: int

    def start(self, key: Array) -> PyTree:
        """Untrained weights: floating-point arrays in any pytree."""
        raise NotImplementedError

    def apply(self, weights: PyTree, inputs: Float[Array, "n ..."]) -> Float[Array, " n"]:
        """f(x), one number a row, that depends on that row alone."""
        raise NotImplementedError

    def features(self, weights: PyTree, inputs: Float[Array, "n ..."]) -> Float[Array, "n m"]:
        """What the last layer is linear in; divided by sqrt(m), ridges mean the same at every width."""
        raise NotImplementedError

    def refit(self, weights: PyTree, coefficients: Float[Array, " m"]) -> PyTree:
        """Weights with another last layer, such that f(x) = features(weights, x) @ coefficients."""
        raise NotImplementedError

    def scaled(self, optimizer: Optimizer) -> Optimizer:
        """The optimizer in units of this network; as it is, where step sizes do not depend on the width."""
        return optimizer


@runtime_checkable
class ExactModel(Model, Protocol):
    """A network with closed forms: what is sampled for other networks is exact where the teachers allow it."""

    def exact_for(self, activation: str) -> bool:
        """Whether there are closed forms with teachers of this activation on x ~ N(0, I_d)."""
        raise NotImplementedError

    def population_loss(self, weights: PyTree, teacher: TwoLayer) -> Float[Array, ""]:
        """E (f - f_teacher)^2, exact, as is its gradient."""
        raise NotImplementedError

    def moments(self, weights: PyTree, target: TwoLayer) -> FeatureMoments:
        """Moments of features and target, exact."""
        raise NotImplementedError


@dataclass(frozen=True)
class MeanField(ExactModel):
    """The two-layer network (1/m) sum_i c_i phi(w_i.x); exact for relu, erf and linear, sampled otherwise.

    Attributes:
        dim: input dimension d.
        width: neurons m.
        activation: one of `tlx.kernels.ACTIVATIONS`.
        init_scale: size of the start, see `mean_field.random_start`.
    """

    dim: int
    width: int
    activation: str = "relu"
    init_scale: float = 0.1

    def __post_init__(self) -> None:
        check_count("dim", self.dim)
        check_count("width", self.width, remedy="A network without neurons computes nothing.")
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_positive("init_scale", self.init_scale, remedy="A network at zero never leaves it; try 0.1.")

    def __str__(self) -> str:
        return f"a two-layer {self.activation} network"

    def exact_for(self, activation: str) -> bool:
        """Whether network and teachers share an activation whose Gaussian expectations have a closed form."""
        return activation == self.activation and activation in CLOSED_FORMS

    def start(self, key: Array) -> TwoLayer:
        """Untrained weights."""
        return mean_field.random_start(key, dim=self.dim, width=self.width, init_scale=self.init_scale)

    def apply(self, weights: TwoLayer, inputs: Float[Array, "n d"]) -> Float[Array, " n"]:
        """f(x)."""
        return activation_function(self.activation)(mean_field.preactivations(weights, inputs)) @ weights.coefficients

    def features(self, weights: TwoLayer, inputs: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """phi(w_i.x) / sqrt(m)."""
        hidden = activation_function(self.activation)(mean_field.preactivations(weights, inputs))
        return hidden / jnp.sqrt(self.width).astype(hidden.dtype)

    def refit(self, weights: TwoLayer, coefficients: Float[Array, " m"]) -> TwoLayer:
        """The same neurons with new output weights, from coefficients of `features`."""
        return TwoLayer(weights.neurons, coefficients * jnp.sqrt(self.width).astype(coefficients.dtype))

    def scaled(self, optimizer: Optimizer) -> Optimizer:
        """Step size times m (mean-field time)."""
        return mean_field.scaled(optimizer, self.width)

    def population_loss(self, weights: TwoLayer, teacher: TwoLayer) -> Float[Array, ""]:
        """E (f - f_teacher)^2; only for activations with closed forms."""
        return mean_field.population_loss(weights, teacher, self.activation)

    def moments(self, weights: TwoLayer, target: TwoLayer) -> FeatureMoments:
        """Exact moments of features and target; only for activations with closed forms."""
        return exact_moments(weights, target, self.activation)


@dataclass(frozen=True)
class MultiLayer(Model):
    """A Flax multilayer perceptron; every risk is sampled.

    Attributes:
        dim: input dimension d.
        widths: hidden layers, first one first.
        activation: one of `tlx.kernels.ACTIVATIONS`.
        init_scale: of the head at the start.
    """

    dim: int
    widths: tuple[int, ...]
    activation: str = "relu"
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        _pure(self, jnp.result_type(float))

    def __str__(self) -> str:
        return f"a multilayer {self.activation} network"

    def start(self, key: Array) -> PyTree:
        """Untrained weights."""
        return _pure(self, jnp.result_type(float)).start(key)

    def apply(self, weights: PyTree, inputs: Float[Array, "n d"]) -> Float[Array, " n"]:
        """f(x)."""
        return _pure(self, jnp.result_type(float)).apply(weights, inputs)

    def features(self, weights: PyTree, inputs: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Last hidden layer / sqrt(width)."""
        return _pure(self, jnp.result_type(float)).features(weights, inputs)

    def refit(self, weights: PyTree, coefficients: Float[Array, " m"]) -> PyTree:
        """The same hidden layers with a new head, from coefficients of `features`."""
        return _pure(self, jnp.result_type(float)).refit(weights, coefficients)


@functools.lru_cache(maxsize=64)
def _pure(model: MultiLayer, dtype: jnp.dtype) -> mlp.Network:
    """The pure functions of a model; `dtype`, that of new weights, is there to be part of the cache's key."""
    return mlp.mlp(**dataclasses.asdict(model))
