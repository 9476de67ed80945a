"""Samples, and all that a squared loss on linear predictors needs of them: their second moments.

(1/n)|X beta - y|^2 = beta^T A beta - 2 b^T beta + c with A = X^T X / n, b = X^T y / n, c = |y|^2 / n, so a training
step costs O(d^2) whatever n is, one compiled program serves every sample size, and the population loss is the
same expression with the covariance in place of A. The gradients are those of the data to rounding.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import _keys
from tlx._checks import check_count, check_nonnegative

BLOCK_ROWS = 64  # rows drawn together; n is traced, so the draw loops over blocks and masks the last one


class Moments(NamedTuple):
    """Second moments of a labelled sample, or of a population (then num_samples is inf).

    Attributes:
        covariance: A = X^T X / n, shape (d, d); of a population with independent inputs its diagonal alone, (d,).
        cross: b = X^T y / n, shape (d,).
        label_power: c = |y|^2 / n.
        num_samples: n.
    """

    covariance: Float[Array, "d d"] | Float[Array, " d"]
    cross: Float[Array, " d"]
    label_power: Float[Array, ""]
    num_samples: Float[Array, ""]

    def times(self, vectors: Array) -> Array:
        """A v for a vector (d,) or for the columns of (d, k)."""
        return _product(self.covariance, vectors)


def draw_block(
    key: Array, block: Int[Array, ""] | int, task: Array, spectrum: Array, noise_std: float | Array
) -> tuple[Float[Array, "rows d"], Float[Array, " rows"]]:
    """Rows block*BLOCK_ROWS ... of an endless sample of y = x . task + noise_std * N(0, 1)."""
    inputs_key, noise_key = jax.random.split(_keys.lane(key, block))
    inputs = jax.random.normal(inputs_key, (BLOCK_ROWS, task.shape[0])) * jnp.sqrt(spectrum)[None, :]
    labels = inputs @ task + noise_std * jax.random.normal(noise_key, (BLOCK_ROWS,))
    return inputs, labels


def draw(
    key: Array,
    task: Float[Array, " d"],
    spectrum: Float[Array, " d"],
    noise_std: float | Array,
    num_samples: int,
) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
    """The first `num_samples` rows (X, y) of the sample that `key` names; num_samples is static here."""
    check_count("num_samples", num_samples)
    check_nonnegative("noise_std", noise_std)
    blocks = jnp.arange(-(-num_samples // BLOCK_ROWS))
    inputs, labels = jax.lax.map(lambda block: draw_block(key, block, task, spectrum, noise_std), blocks)
    return inputs.reshape(-1, task.shape[0])[:num_samples], labels.reshape(-1)[:num_samples]


def moments(inputs: Float[Array, "n d"], labels: Float[Array, " n"]) -> Moments:
    """Second moments of given data."""
    count = inputs.shape[0]
    return Moments(
        inputs.T @ inputs / count,
        inputs.T @ labels / count,
        labels @ labels / count,
        jnp.asarray(count, inputs.dtype),
    )


def sample_moments(
    key: Array,
    task: Float[Array, " d"],
    spectrum: Float[Array, " d"],
    noise_std: float | Array,
    num_samples: Int[Array, ""] | int,
) -> Moments:
    """Moments of the rows that `draw` would return, without holding them; num_samples may be traced (>= 1)."""
    check_nonnegative("noise_std", noise_std)
    (dim,) = task.shape

    def add(block, sums):
        inputs, labels = draw_block(key, block, task, spectrum, noise_std)
        inside = (block * BLOCK_ROWS + jnp.arange(BLOCK_ROWS) < num_samples).astype(inputs.dtype)
        inputs, labels = inputs * inside[:, None], labels * inside
        covariance, cross, power = sums
        return covariance + inputs.T @ inputs, cross + inputs.T @ labels, power + labels @ labels

    zero = jnp.zeros((), task.dtype)
    empty = (jnp.zeros((dim, dim), task.dtype), jnp.zeros((dim,), task.dtype), zero)
    num_blocks = (num_samples + BLOCK_ROWS - 1) // BLOCK_ROWS
    covariance, cross, power = jax.lax.fori_loop(0, num_blocks, add, empty)
    count = jnp.asarray(num_samples, task.dtype)
    return Moments(covariance / count, cross / count, power / count, count)


def population_moments(
    task: Float[Array, " d"], spectrum: Float[Array, " d"], noise_std: float | Array = 0.0
) -> Moments:
    """Moments of the whole distribution: A = diag(spectrum), b = A beta, c = beta^T A beta + noise_std^2.

    The covariance is given by its diagonal, so that a step on the population costs O(d) where a sample's costs O(d^2).
    """
    cross = spectrum * task
    power = task @ cross + jnp.asarray(noise_std, task.dtype) ** 2
    return Moments(spectrum, cross, power, jnp.asarray(jnp.inf, task.dtype))


def squared_loss(predictor: Float[Array, " d"], data: Moments) -> Float[Array, ""]:
    """(1/n)|X beta - y|^2 from the moments. Rounding limits it to about 1e-7 of label_power in float32."""
    return _power(predictor, data.covariance) - 2 * (data.cross @ predictor) + data.label_power


def _product(covariance: Array, vectors: Array) -> Array:
    if covariance.ndim == 2:
        return covariance @ vectors
    return covariance * vectors if vectors.ndim == 1 else covariance[:, None] * vectors


@jax.custom_jvp
def _power(vector: Array, covariance: Array) -> Array:
    """v^T A v for symmetric A. Its gradient 2 A v reads the matrix once; autodiff would read it as A and as A^T."""
    return vector @ _product(covariance, vector)


@partial(_power.defjvp, symbolic_zeros=True)
def _power_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (vector, covariance), (move, change) = primals, tangents
    image = _product(covariance, vector)
    value = vector @ image
    slope = jnp.zeros_like(value)
    if type(move) is not jax.custom_derivatives.SymbolicZero:
        slope += 2 * (image @ move)
    if type(change) is not jax.custom_derivatives.SymbolicZero:
        slope += vector @ _product(change, vector)
    return value, slope
