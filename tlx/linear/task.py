"""A linear source/target pair: y = x . beta + sigma eps with beta_s and beta_t at a given angle."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx import _keys
from tlx._checks import check_angle, check_count, check_nonnegative, check_positive


class LinearPair(NamedTuple):
    """Two linear tasks on the same inputs x = sqrt(spectrum) * N(0, I_d).

    Attributes:
        source: beta_s, shape (d,).
        target: beta_t, shape (d,).
        spectrum: eigenvalues of the input covariance, shape (d,), of mean 1; all ones is the paper's setting.
    """

    source: Float[Array, " d"]
    target: Float[Array, " d"]
    spectrum: Float[Array, " d"]


def power_law_spectrum(dim: int, exponent: float | Array = 0.0) -> Float[Array, " d"]:
    """Covariance eigenvalues proportional to j^-exponent, j = 1..d, scaled to mean 1. Exponent 0 is isotropic."""
    check_count("dim", dim)
    check_nonnegative("covariance exponent", exponent)
    decay = jnp.arange(1, dim + 1, dtype=jnp.result_type(float)) ** -exponent
    return decay / jnp.mean(decay)


def linear_pair(
    key: Array,
    overlap_angle: float | Array,
    spectrum: Float[Array, " d"],
    *,
    target_norm: float | Array = 1.0,
    source_norm: float | Array = 1.0,
) -> LinearPair:
    """A random pair at a given angle: beta_s . beta_t = |beta_s| |beta_t| cos(overlap_angle).

    The target direction is uniform on the sphere and depends on `key` alone; the source is turned away from it
    in a second random direction, so one key gives one target and a continuous family of sources.

    Args:
        key: identifies the instance.
        overlap_angle: theta in radians, [0, pi], Euclidean whatever the covariance.
        spectrum: eigenvalues of the input covariance, shape (d,), d >= 2.
        target_norm: r = |beta_t| > 0.
        source_norm: |beta_s| > 0.
    """
    check_angle("overlap_angle", overlap_angle)
    check_positive("target_norm", target_norm)
    check_positive("source_norm", source_norm)
    (dim,) = spectrum.shape
    check_count("dim", dim, 2, remedy="Two vectors at an angle need two dimensions.")
    target = jax.random.normal(_keys.named(key, "target"), (dim,))
    target = target / jnp.linalg.norm(target)
    other = jax.random.normal(_keys.named(key, "perpendicular"), (dim,))
    other = other - target * (target @ other)
    other = other / jnp.linalg.norm(other)
    source = jnp.cos(overlap_angle) * target + jnp.sin(overlap_angle) * other
    return LinearPair(source_norm * source, target_norm * target, spectrum)


def risk(predictor: Float[Array, " d"], task: Float[Array, " d"], spectrum: Float[Array, " d"]) -> Float[Array, ""]:
    """The exact excess population risk E (x . predictor - x . task)^2 = sum_j spectrum_j (difference_j)^2."""
    return jnp.sum(spectrum * (predictor - task) ** 2)
