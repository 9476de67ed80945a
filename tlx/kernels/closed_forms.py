"""Which activations have a closed form, and what comes with it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array

from tlx._checks import require
from tlx.kernels import arc_cosine, error_function, linear

ALTERNATIVES = (
    "Use one of those, or an approximation with a stated error: hermite_gram (Gauss-Hermite) or sampled_gram "
    "(Monte Carlo) for Gram matrices, and training on a sample or online (pretraining='online') instead of the "
    "population loss."
)


class ClosedForm(NamedTuple):
    """An activation whose Gaussian expectations are exact.

    Attributes:
        function: the activation phi, elementwise.
        gram: (rows (k, d), rows (m, d)) -> E[phi(a.x) phi(b.x)], shape (k, m).
        field: (points (k, d), neurons (m, d), weights (m,)) -> (v, grad v), v(a) = sum_j q_j E[phi(a.x) phi(b_j.x)].
    """

    function: Callable[[Array], Array]
    gram: Callable[[Array, Array], Array]
    field: Callable[[Array, Array, Array], tuple[Array, Array]]


CLOSED_FORMS = {
    "relu": ClosedForm(jax.nn.relu, arc_cosine.relu_gram, arc_cosine.field),
    "erf": ClosedForm(error_function.erf, error_function.erf_gram, error_function.field),
    "linear": ClosedForm(lambda value: value, linear.linear_gram, linear.field),
}


def closed_form(activation: str) -> ClosedForm:
    """The exact expectations of a named activation: "relu", "erf" (erf(z/sqrt 2)) or "linear"."""
    names = ", ".join(CLOSED_FORMS)
    message = f"activation = {activation!r} has no closed form here; those are {names}. {ALTERNATIVES}"
    require(activation in CLOSED_FORMS, message)
    return CLOSED_FORMS[activation]
