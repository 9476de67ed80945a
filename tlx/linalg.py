"""Least squares in a learned feature space, from second moments, with explicit cut-offs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tlx._checks import check_nonnegative, check_range

TPU_BATCHED_BELOW = 256  # above it XLA's default on TPUs takes the matrices of a batch one after another


def eigh(matrix: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Eigenvalues (ascending) and eigenvectors (columns) of a symmetric matrix, batched side by side on every device.

    As jnp.linalg.eigh, except on TPUs above n = 256, where that is a divide and conquer which under vmap loops over the
    lanes: there it is Jacobi's method, batched. XLA stops it at off-diagonal elements of 1e-6, so its eigenvalues are
    right to about 5e-6 of the largest in float32 (LAPACK: 2e-7) and its vectors orthogonal to about 1e-5.
    """

    def jacobi(matrix):
        vectors, values = jax.lax.linalg.eigh(
            matrix, implementation=jax.lax.linalg.EighImplementation.JACOBI, symmetrize_input=False
        )
        return values, vectors

    def default(matrix):
        return tuple(jnp.linalg.eigh(matrix, symmetrize_input=False))

    if matrix.shape[-1] <= TPU_BATCHED_BELOW:
        return default(matrix)
    return jax.lax.platform_dependent(matrix, tpu=jacobi, default=default)


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
    powers, rotation = eigh(feature_map.T @ feature_map)
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
    values, basis = eigh((gram + gram.T) / 2)
    coefficients = basis.T @ cross
    floor = jnp.finfo(gram.dtype).eps * gram.shape[0] * values[-1]

    ridges = jnp.atleast_1d(ridges)[:, None]
    shifted = jnp.maximum(values, 0)[None, :] + ridges
    keep = (values > floor)[None, :] | (ridges > 0)
    return jnp.where(keep, coefficients[None, :] / jnp.where(keep, shifted, 1), 0) @ basis.T


def cosine(left: Float[Array, " d"], right: Float[Array, " d"]) -> Float[Array, ""]:
    """cos of the angle between two vectors; 0 if either vanishes."""
    norms = jnp.linalg.norm(left) * jnp.linalg.norm(right)
    return jnp.where(norms > 0, left @ right / jnp.where(norms > 0, norms, 1), 0)
