"""Two-layer networks in the mean-field scaling, f(x) = (1/m) sum_i c_i phi(w_i.x), with exact population losses.

The 1/m makes the network an average over neurons; gradients of the loss are then O(1/m) a neuron, so the step size
is multiplied by m (`scaled`) and every neuron moves at a rate that does not depend on the width.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx import _keys
from tlx._checks import check_count, check_positive, require
from tlx.kernels import activation_function, closed_form
from tlx.train import Optimizer


class TwoLayer(NamedTuple):
    """f(x) = (1/m) sum_i output_weights_i phi(neurons_i . x).

    Attributes:
        neurons: w_i as rows, shape (m, d).
        output_weights: c_i, shape (m,).
    """

    neurons: Float[Array, "m d"]
    output_weights: Float[Array, " m"]

    @property
    def coefficients(self) -> Float[Array, " m"]:
        """c_i / m: what multiplies each feature phi(w_i.x)."""
        return self.output_weights / self.output_weights.shape[0]


def random_start(key: Array, *, dim: int, width: int, init_scale: float | Array) -> TwoLayer:
    """w_i = init_scale N(0, I_d/d), c_i = +-init_scale in equal numbers (to one): O(1) neurons, f(x) of order 1/sqrt m.

    Args:
        key: names the draw.
        dim: input dimension d.
        width: number of neurons m >= 1.
        init_scale: 1 is the mean-field start; -> 0 learns features from nothing (and starts slowly).
    """
    check_count("dim", dim)
    check_count("width", width, remedy="A network without neurons computes nothing; width counts hidden neurons.")
    check_positive("init_scale", init_scale, remedy="A network at zero never leaves it; try 1.")
    neurons = jax.random.normal(_keys.named(key, "neurons"), (width, dim)) / jnp.sqrt(dim)
    first_sign = jax.random.rademacher(_keys.named(key, "sign"), (), neurons.dtype)
    signs = first_sign * (1 - 2 * (jnp.arange(width) % 2)).astype(neurons.dtype)
    return TwoLayer(init_scale * neurons, init_scale * signs)


def scaled(optimizer: Optimizer, width: int) -> Optimizer:
    """The optimizer in mean-field time: step size times m, tolerance over m, as gradients are of order 1/m.

    Adam's steps do not depend on the gradient's scale: its step size stays.
    """
    tolerance = optimizer.tolerance / width
    if optimizer.name == "adam":
        return dataclasses.replace(optimizer, tolerance=tolerance)
    return dataclasses.replace(optimizer, learning_rate=optimizer.learning_rate * width, tolerance=tolerance)


# A network as training on a sample keeps it: w_i as columns (d, m), and c_i.
Columns = tuple[Float[Array, "d m"], Float[Array, " m"]]


def to_columns(network: TwoLayer) -> Columns:
    """The same network, neurons as columns: `apply_columns` of it is `apply` of the network."""
    return network.neurons.T, network.output_weights


def to_rows(columns: Columns) -> TwoLayer:
    """The inverse of `to_columns`."""
    return TwoLayer(columns[0].T, columns[1])


def apply_columns(columns: Columns, inputs: Float[Array, "n d"], activation: str) -> Float[Array, " n"]:
    """f(x) for every row of `inputs`, of any activation, in the form whose gradient a CPU takes fastest."""
    neurons, output_weights = columns
    function = _relu if activation == "relu" else activation_function(activation)
    return (function(_product(inputs, neurons)) @ output_weights) / output_weights.shape[0]


def preactivations(network: TwoLayer, inputs: Float[Array, "n d"]) -> Float[Array, "n m"]:
    """w_i . x for every row of `inputs` and every neuron."""
    return _product(inputs, _turned(network.neurons))


def _turned(matrix: Array) -> Array:
    # On a CPU, XLA folds a transposition into the product, whose crosswise form runs 2-4 times slower than the plain
    # one; the barrier has the matrix turned instead: neurons at every call, inputs once, as a loop of steps takes out
    # of itself what does not change. Accelerators would only write them once more.
    return _on_cpu(lambda value: jax.lax.optimization_barrier(value.T), jnp.transpose, matrix)


def _on_cpu(there: Callable, elsewhere: Callable, value: Array) -> Array:
    return jax.lax.platform_dependent(value, cpu=there, default=elsewhere)


@jax.custom_jvp
def _product(inputs: Float[Array, "n d"], columns: Float[Array, "d m"]) -> Float[Array, "n m"]:
    return inputs @ columns


@partial(_product.defjvp, symbolic_zeros=True)
def _product_jvp(primals, tangents):
    inputs, columns = primals
    slope = None
    if type(tangents[1]) is not jax.custom_derivatives.SymbolicZero:
        slope = jax.lax.dot_general(_turned(inputs), tangents[1], (((0,), (0,)), ((), ())))
    if type(tangents[0]) is not jax.custom_derivatives.SymbolicZero:
        moved = tangents[0] @ columns
        slope = moved if slope is None else slope + moved
    value = _product(inputs, columns)
    return value, jnp.zeros_like(value) if slope is None else slope


@jax.custom_jvp
def _relu(values: Array) -> Array:
    return jax.nn.relu(values)


@_relu.defjvp
def _relu_jvp(primals, tangents):
    # by what came out, which is kept for the output weights anyway: a CPU then reads one array where it read two
    out = _on_cpu(jax.lax.optimization_barrier, lambda value: value, _relu(primals[0]))
    return out, jnp.where(out > 0, tangents[0], 0)


def features(network: TwoLayer, inputs: Float[Array, "n d"], activation: str) -> Float[Array, "n m"]:
    """Learned features phi(w_i.x) / sqrt(m): their Gram matrix over neurons is O(1) whatever the width."""
    (width,) = network.output_weights.shape
    return closed_form(activation).function(preactivations(network, inputs)) / jnp.sqrt(width).astype(inputs.dtype)


def apply(network: TwoLayer, inputs: Float[Array, "n d"], activation: str) -> Float[Array, " n"]:
    """f(x) for every row of `inputs`."""
    return closed_form(activation).function(preactivations(network, inputs)) @ network.coefficients


def inner_product(first: TwoLayer, second: TwoLayer, activation: str) -> Float[Array, ""]:
    """E[f(x) g(x)], x ~ N(0, I_d), exact."""
    gram = closed_form(activation).gram(first.neurons, second.neurons)
    return first.coefficients @ gram @ second.coefficients


def sample_loss(
    network: TwoLayer,
    inputs: Float[Array, "n d"],
    labels: Float[Array, " n"],
    row_weights: Float[Array, " n"],
    activation: str,
) -> Float[Array, ""]:
    """sum_i row_weights_i (f(x_i) - y_i)^2; row weights 1/n, and 0 for rows that only pad the sample."""
    return jnp.sum(row_weights * (apply(network, inputs, activation) - labels) ** 2)


def population_loss(student: TwoLayer, teacher: TwoLayer, activation: str) -> Float[Array, ""]:
    """E (f_student(x) - f_teacher(x))^2 over x ~ N(0, I_d), exact, as is its gradient in both.

    With q = (c/m, -c'/m') over the neurons of both, the loss is q^T K q, and its gradient in w_i is
    2 q_i sum_j q_j dK(w_i, z_j)/dw_i: two matrix products of size m (m + m') d. In float32 the value is right to
    about 1e-6 of |f_teacher|^2; the gradient does not suffer from that cancellation.

    Args:
        student, teacher: networks on the same inputs, any widths.
        activation: "relu", "erf" or "linear"; any other raises, naming the alternatives.
    """
    closed_form(activation)
    require(
        student.neurons.shape[1] == teacher.neurons.shape[1],
        f"student and teacher see {student.neurons.shape[1]} and {teacher.neurons.shape[1]} inputs; make them equal.",
    )
    return _population_loss(activation, student, teacher)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _population_loss(activation: str, student: TwoLayer, teacher: TwoLayer) -> Array:
    gram = closed_form(activation).gram
    own, other = student.coefficients, teacher.coefficients
    within = own @ gram(student.neurons, student.neurons) @ own
    between = own @ gram(student.neurons, teacher.neurons) @ other
    return within - 2 * between + other @ gram(teacher.neurons, teacher.neurons) @ other


@partial(_population_loss.defjvp, symbolic_zeros=True)
def _population_loss_jvp(activation, primals, tangents):
    value = _population_loss(activation, *primals)
    slope = jnp.zeros_like(value)
    for network, other, tangent in zip(primals, primals[::-1], tangents, strict=True):
        moves = [t for t in tangent if type(t) is not jax.custom_derivatives.SymbolicZero]
        if not moves:  # this side is data, not weights: its gradient is not computed
            continue
        neurons = jnp.concatenate([network.neurons, other.neurons])
        weights = jnp.concatenate([network.coefficients, -other.coefficients])
        potential, pull = closed_form(activation).field(network.neurons, neurons, weights)
        gradient = TwoLayer(2 * network.coefficients[:, None] * pull, 2 * potential / network.output_weights.shape[0])
        for part, move in zip(gradient, tangent, strict=True):
            if type(move) is not jax.custom_derivatives.SymbolicZero:
                slope = slope + jnp.sum(part * move)
    return value, slope
