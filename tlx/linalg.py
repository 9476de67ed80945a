"""Least squares in a learned feature space, from second moments, with explicit cut-offs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tlx._checks import check_nonnegative, check_range


class FeatureBasis(NamedTuple):
    """Orthonormal directions of a feature space, strongest first dropped to zero below the cut-off.

    Attributes:
        map: the features in this basis, shape (d, w): columns below the cut-off are zero.
        singular_values: of the feature map, ascending, shape (w,).
        kept: which directions are above the cut-off, shape (w,).
    """

    map: Float[Array, "d w"]
    singular_values: Float[Array, " w"]
    kept: Bool[Array, " w"]

    @property
    def num_kept(self) -> Int[Array, ""]:
        """How many directions were learned, at the stated cut-off."""
        return jnp.sum(self.kept)


def learned_features(feature_map: Float[Array, "d w"], cutoff: float | Array) -> FeatureBasis:
    """Directions of a feature map whose singular value exceeds `cutoff` times the largest.

    A network trained from a small start keeps its untrained directions at the size of that start: they are in
    the span, but a learner that fits n > k labels through them would be fitting noise with features that were
    never learned. The cut-off says which ones count; report it beside any number computed with it.

    Args:
        feature_map: x -> x^T feature_map.
        cutoff: relative to the largest singular value, in [0, 1). 0 keeps all that is not rounding.
    """
    check_range("feature_cutoff", cutoff, 0.0, 1.0 - 1e-9, remedy="It is relative to the largest singular value.")
    powers, rotation = jnp.linalg.eigh(feature_map.T @ feature_map)
    floor = jnp.finfo(feature_map.dtype).eps * feature_map.shape[1]
    kept = powers > jnp.maximum(jnp.asarray(cutoff, powers.dtype) ** 2, floor) * powers[-1]
    turned = feature_map @ rotation
    return FeatureBasis(turned * kept.astype(turned.dtype)[None, :], jnp.sqrt(jnp.maximum(powers, 0)), kept)


def ridge_solutions(
    gram: Float[Array, "w w"], cross: Float[Array, " w"], ridges: Float[Array, " r"]
) -> Float[Array, "r w"]:
    """(gram + ridge I)^{-1} cross for each ridge >= 0; at ridge = 0 the minimum-norm solution gram^+ cross.

    Eigenvalues below w * eps times the largest count as zero at ridge 0 (the rank of a sample is finite).
    """
    check_nonnegative("ridge", ridges, remedy="ridge = 0 is the minimum-norm solution.")
    values, basis = jnp.linalg.eigh(gram)
    coefficients = basis.T @ cross
    floor = jnp.finfo(gram.dtype).eps * gram.shape[0] * values[-1]

    def solve(ridge):
        shifted = jnp.maximum(values, 0) + ridge
        keep = (values > floor) | (ridge > 0)
        return basis @ jnp.where(keep, coefficients / jnp.where(keep, shifted, 1), 0)

    return jax.lax.map(solve, jnp.atleast_1d(ridges))


def cosine(left: Float[Array, " d"], right: Float[Array, " d"]) -> Float[Array, ""]:
    """cos of the angle between two vectors; 0 if either vanishes."""
    norms = jnp.linalg.norm(left) * jnp.linalg.norm(right)
    return jnp.where(norms > 0, left @ right / jnp.where(norms > 0, norms, 1), 0)
