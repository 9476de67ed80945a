"""How alike two learned kernels are: the cosine between K_1 and K_2 as functions of two inputs, exact."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx.kernels import closed_form
from tlx.networks.mean_field import TwoLayer


def kernel_alignment(first: TwoLayer, second: TwoLayer, activation: str) -> Float[Array, ""]:
    """<K_1, K_2>/(|K_1||K_2|) with K(x, x') = sum_i |c_i|/|w_i| phi(w_i.x) phi(w_i.x'), x, x' ~ N(0, I) independent.

    <K_1, K_2> = sum_ij p_i q_j G(w_i, v_j)^2, G the exact Gram matrix. Each neuron counts as |c_i|/|w_i|, what it
    weighs for a homogeneous activation once layers are balanced, so a neuron of output weight 0 does not count.

    Args:
        first, second: networks on the same inputs, any widths, not all output weights 0.
        activation: "relu", "erf" or "linear".

    Returns:
        a number in [0, 1]; 1 if and only if the kernels are proportional.
    """
    gram = closed_form(activation).gram

    def inner(one: TwoLayer, other: TwoLayer) -> Array:
        return _importance(one) @ gram(one.neurons, other.neurons) ** 2 @ _importance(other)

    return inner(first, second) / jnp.sqrt(inner(first, first) * inner(second, second))


def _importance(network: TwoLayer) -> Array:
    size = jnp.linalg.norm(network.neurons, axis=1)
    return jnp.where(size > 0, jnp.abs(network.output_weights) / jnp.where(size > 0, size, 1), 0)
