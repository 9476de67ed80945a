"""Linear transfer: the last layer refitted on frozen features, in closed form at every ridge."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import linalg
from tlx.linear.data import Moments


class LinearProbe(NamedTuple):
    """Linear transfer: predictors (r, d), one per ridge, and the number of learned directions used."""

    predictors: Float[Array, "r d"]
    num_features: Int[Array, ""]


def linear_transfer(
    feature_map: Float[Array, "d w"],
    data: Moments,
    ridges: Float[Array, " r"] | tuple[float | Array, ...],
    cutoff: float | Array,
) -> LinearProbe:
    """Refit the last layer on frozen features: argmin_c (1/n)|F c - y|^2 + ridge |c|^2, F = X feature_map.

    Args:
        feature_map: the pretrained features, shape (d, w), used as they are (their scale matters to the ridge).
        data: moments of the target sample.
        ridges: each >= 0; 0 is the minimum-norm least-squares fit, exactly.
        cutoff: see `linalg.learned_features`; directions below it are not used at any ridge.

    Source: Theorems 3.7 and 3.8.
    """
    basis = linalg.learned_features(feature_map, cutoff)
    gram = basis.map.T @ data.times(basis.map)
    coefficients = linalg.ridge_solutions(gram, basis.map.T @ data.cross, jnp.asarray(ridges, gram.dtype))
    return LinearProbe(coefficients @ basis.map.T, basis.num_kept)
