"""Linear transfer on learned features: refit the last layer, on the learned eigenfeatures or with a ridge."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx import linalg
from tlx.nonlinear.data import SampleMoments
from tlx.nonlinear.overlap import LearnedBasis, kept

BLOCK_ROWS = 500  # inputs held at once


def projected(moments: SampleMoments, basis: LearnedBasis, cutoff: float | Array) -> Float[Array, " m"]:
    """Coefficients of the minimum-norm least-squares fit on the eigenfeatures above the cut-off (ridge 0).

    The eigenfeatures are those of the population, known from pretraining without any label of the target.
    """
    mask = kept(basis, cutoff)
    directions = basis.directions * mask.astype(basis.directions.dtype)[None, :]
    gram = directions.T @ (moments.covariance @ directions)
    return directions @ linalg.ridge_solutions(gram, directions.T @ moments.cross, jnp.zeros(1, gram.dtype))[0]


def ridged(moments: SampleMoments, ridge: float | Array) -> Float[Array, " m"]:
    """Coefficients of (F^T F/n + ridge) c = F^T y/n on all features, no cut-off; ridge 0 is the minimum norm."""
    penalty = jnp.reshape(jnp.asarray(ridge, moments.cross.dtype), (1,))
    return linalg.ridge_solutions(moments.covariance, moments.cross, penalty)[0]


def leverage(
    key: Array,
    features: Callable[[Array], Array],
    target: Callable[[Array], Array],
    draw_inputs: Callable[[Array, int], Array],
    basis: LearnedBasis,
    cutoff: float | Array,
    *,
    num_samples: int,
) -> Float[Array, ""]:
    """E[(f_t - P f_t)^2 |psi|^2], psi_i = u_i.phi/sqrt(lambda_i) over the kept eigenfeatures, by sampling.

    It takes the place of |f_t - P f_t|^2 k in the variance of linear transfer: what the network cannot express
    acts as noise that depends on the input. For Gaussian features independent of it the two are equal.
    """
    mask = kept(basis, cutoff)
    whiten = basis.directions * jnp.where(mask, 1 / jnp.sqrt(jnp.where(mask, basis.eigenvalues, 1)), 0)[None, :]
    fit = whiten @ (whiten.T @ (basis.directions @ basis.components))  # coefficients of P f_t
    num_blocks = max(1, num_samples // BLOCK_ROWS)

    def block(total, block_key):
        inputs = draw_inputs(block_key, BLOCK_ROWS)
        values = features(inputs)
        rest = target(inputs) - values @ fit
        return total + jnp.mean(rest**2 * jnp.sum((values @ whiten) ** 2, axis=1)), None

    total, _ = jax.lax.scan(block, jnp.zeros_like(basis.power), jax.random.split(key, num_blocks))
    return total / num_blocks
