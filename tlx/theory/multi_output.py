"""Several outputs: teachers B (d, o), labels y = B^T x + sigma eps, risk |B_hat - B_t|^2 summed over outputs."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Numbers, Result
from tlx.theory.feature_transfer import feature_transfer_risk
from tlx.theory.fine_tuning import fine_tuning_risk
from tlx.theory.scratch import scratch_risk

Matrix = Float[Array | np.ndarray, "dim outputs"]


def multi_output_scratch_risk(
    sample_ratio: Numbers,
    noise_std: Numbers,
    num_outputs: Numbers,
    *,
    target_norm: Numbers = 1.0,
    dim: Numbers | None = None,
) -> Result:
    """Mean excess risk of the minimum-norm fit of o outputs: `scratch_risk` with noise variance o sigma^2.

    Args:
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0 of every output.
        num_outputs: o >= 1.
        target_norm: |B_t|, the Frobenius norm.
        dim: d, as in `scratch_risk`.

    Returns:
        E|B_hat - B_t|^2, the arguments broadcast; poles as in `scratch_risk`.

    Source: Theorem 3.5, output by output.
    """
    _checks.check_range("num_outputs", num_outputs, 1.0, remedy="Pass at least one output.")
    _checks.check_nonnegative("noise_std", noise_std)
    noise, outputs = _arrays.common(noise_std, num_outputs)
    return scratch_risk(sample_ratio, noise * jnp.sqrt(outputs), target_norm=target_norm, dim=dim)


def multi_output_linear_transfer_risk(
    target: Matrix,
    source: Float[Array | np.ndarray, "dim features"],
    noise_std: Numbers,
    *,
    num_samples: Numbers = np.inf,
    ridge: Numbers = 0.0,
) -> Result:
    """Mean excess risk of refitting all outputs on the k features that a source of k outputs left behind.

    R = rho + (o sigma^2 + rho) k/(n - k - 1), rho = |B_t|^2 - |U^T B_t|^2 with U an orthonormal basis of the columns of
    B_s; in principal angles rho is a sum of r_i^2 sin^2 theta_i. For n < k - 1 and with a ridge `feature_transfer_risk`
    at noise variance o sigma^2.

    Args:
        target: B_t (d, o).
        source: B_s (d, k), independent columns; only their span matters. k <= d.
        noise_std: sigma >= 0 of every output.
        num_samples: n > 0; inf for the limit.
        ridge: lambda >= 0, the penalty on the coefficients.

    Returns:
        The risk, the last three arguments broadcast: exact in n, d and o at ridge 0, however the outputs of source and
        target are turned against each other; with a ridge the approximation of `feature_transfer_risk`. Infinite for n
        in {k-1, k, k+1} at ridge 0 unless there is nothing to fit wrongly. Dependent columns count as features that
        are not there: drop them.

    Source: Theorem 3.7 carried over to k features and o outputs. Compare "Transfer Learning for Benign Overfitting"
    (general covariance, several sources).
    """
    shapes = jnp.shape(target), jnp.shape(source)
    fit = len(shapes[0]) == len(shapes[1]) == 2 and shapes[0][0] == shapes[1][0] and shapes[1][1] <= shapes[1][0]
    _checks.require(fit, f"target {shapes[0]} and source {shapes[1]} must be (d, o) and (d, k) with k <= d.")
    _checks.check_nonnegative("noise_std", noise_std)
    dtype = jnp.result_type(target, source, 0.0)
    target, source = jnp.asarray(target, dtype), jnp.asarray(source, dtype)
    basis, _ = jnp.linalg.qr(source)
    inside = jnp.sum((basis.T @ target) ** 2)
    outside = jnp.sum((target - basis @ (basis.T @ target)) ** 2)
    (noise,) = _arrays.common(noise_std)
    spread = noise * float(np.sqrt(shapes[0][1]))
    return feature_transfer_risk(
        shapes[1][1], outside, spread, num_samples=num_samples, in_span_energy=inside, ridge=ridge
    )


def multi_output_fine_tuning_risk(
    overlap_angles: Float[Array | np.ndarray, "*shape modes"],
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    target_values: Numbers = 1.0,
    source_values: Numbers = 1.0,
    num_outputs: int | None = None,
    depth: Numbers = 2,
    published: bool = False,
    trained_layers: Numbers | None = None,
) -> Result:
    """Mean excess risk of fine-tuning where source and target share their output singular vectors, as d -> inf.

    B_s = sum_i rho_i a_i v_i^T, B_t = sum_i r_i b_i v_i^T with the same orthonormal v_i, a_i and b_i at the angle
    theta_i and orthogonal to those of the other modes: R = sum_i `fine_tuning_risk` at (theta_i, r_i, rho_i)
    + (o - k) `scratch_risk` of a zero target.

    Args:
        overlap_angles: theta_i in [0, pi], radians, one a mode on the last axis (k of them).
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0 of every output.
        target_values: r_i >= 0, singular values of B_t, broadcast against the angles.
        source_values: rho_i >= 0, singular values of B_s (population source).
        num_outputs: o >= k; None for o = k.
        depth: L >= 1.
        published: c = 1 in every mode.
        trained_layers: as in `fine_tuning_risk`.

    Returns:
        E|B_hat - B_t|^2 with the shape of the angles without their last axis, broadcast with g and sigma; poles as in
        `fine_tuning_risk`. At finite d the noise couples the modes, an error of O(1/d).

    It fails where the output vectors are turned against each other: the layers above the first then mix the modes, and
    the sum misses by much (5.56 for 7.69 measured at one such setting). No closed form is known there; simulate. At one
    trained layer (c = 1 throughout) nothing mixes, and R needs only |B_t - B_s|.

    Source: Theorem 3.9 and the exact endpoint, mode by mode; derived here.
    """
    angles = jnp.asarray(overlap_angles)
    _checks.require(angles.ndim > 0, "overlap_angles is a number: pass one angle a mode on the last axis.")
    modes = angles.shape[-1]
    outputs = modes if num_outputs is None else num_outputs
    _checks.check_count("num_outputs", outputs, modes, "Every mode has an output direction of its own.")
    ratio, noise, depths = (jnp.asarray(value)[..., None] for value in (sample_ratio, noise_std, depth))
    trained = None if trained_layers is None else jnp.asarray(trained_layers)[..., None]
    _checks.check_nonnegative("noise_std", noise_std)
    each = fine_tuning_risk(
        *_arrays.common(overlap_angles, ratio, noise), depth=depths, target_norm=target_values,
        source_norm=source_values, published=published, trained_layers=trained,
    )  # fmt: skip
    idle = scratch_risk(ratio, noise, target_norm=0.0)
    total, idle = jnp.sum(each, axis=-1), jnp.sum(idle, axis=-1)
    total, idle = _arrays.common(total, idle)
    return total if outputs == modes else total + (outputs - modes) * idle
