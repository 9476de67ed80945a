"""The activations by name, in one table, and the exact Gaussian expectations of those that have them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from tlx._checks import check_choice, require
from tlx.kernels import arc_cosine, error_function, linear

ALTERNATIVES = (
    "Use one of those, or an approximation with a stated error: hermite_gram (Gauss-Hermite) or sampled_gram "
    "(Monte Carlo) for Gram matrices, and training on a sample or online (pretraining='online') instead of the "
    "population loss."
)


class Activation(NamedTuple):
    """An elementwise activation; `gram` and `field` are there where its Gaussian expectations are exact.

    Attributes:
        function: the activation phi, elementwise.
        gram: (rows (k, d), rows (m, d)) -> E[phi(a.x) phi(b.x)], shape (k, m).
        field: (points (k, d), neurons (m, d), weights (m,)) -> (v, grad v), v(a) = sum_j q_j E[phi(a.x) phi(b_j.x)].
    """

    function: Callable[[Array], Array]
    gram: Callable[[Array, Array], Array] | None = None
    field: Callable[[Array, Array, Array], tuple[Array, Array]] | None = None


def _identity(value: Array) -> Array:
    return value


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(jax.nn.relu, arc_cosine.relu_gram, arc_cosine.field),
    "erf": Activation(error_function.erf, error_function.erf_gram, error_function.field),
    "linear": Activation(_identity, linear.linear_gram, linear.field),
    "tanh": Activation(jnp.tanh),
    "gelu": Activation(jax.nn.gelu),
    "silu": Activation(jax.nn.silu),
    "sigmoid": Activation(jax.nn.sigmoid),
    "softplus": Activation(jax.nn.softplus),
}
CLOSED_FORMS = {name: one for name, one in ACTIVATIONS.items() if one.gram is not None}


def activation_function(name: str) -> Callable[[Array], Array]:
    """The elementwise activation of that name ("erf" is erf(z/sqrt 2))."""
    check_choice("activation", name, tuple(ACTIVATIONS))
    return ACTIVATIONS[name].function


def closed_form(activation: str) -> Activation:
    """The exact expectations of a named activation: "relu", "erf" (erf(z/sqrt 2)) or "linear"."""
    names = ", ".join(CLOSED_FORMS)
    message = f"activation = {activation!r} has no closed form here; those are {names}. {ALTERNATIVES}"
    require(activation in CLOSED_FORMS, message)
    return CLOSED_FORMS[activation]
