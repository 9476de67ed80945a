"""Linear transfer: pretrained features frozen, last layer refitted (Theorems 3.7, 3.8), exact in n."""

import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory._refit import best_refit, refit_moments
from tlx.theory.finite_source import lost_alignment


def linear_transfer_risk(
    overlap_angle: Numbers,
    noise_std: Numbers,
    *,
    num_samples: Numbers = np.inf,
    ridge: Numbers = 0.0,
    target_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    source_norm: Numbers = 1.0,
    dim: Numbers | None = None,
) -> Result:
    """Mean excess risk of refitting the last layer on the one unit-norm feature that pretraining learned.

    R = rho + a^2 E[(n lambda)^2/(S + n lambda)^2] + (sigma^2 + rho) E[S/(S + n lambda)^2], S ~ chi^2_n,
    rho = r^2 sin^2 phi, a = r cos phi. At lambda = 0 R = rho + (sigma^2 + rho)/(n - 2); as n -> inf
    R = r^2 (1 - cos^2 phi (1 + 2 lambda)/(1 + lambda)^2).

    Args:
        overlap_angle: theta in [0, pi], radians, between source and target task.
        noise_std: sigma >= 0, label noise of the target set.
        num_samples: n > 0 target samples; inf for the limit.
        ridge: lambda >= 0 in |F c - y|^2/n + lambda |c|^2, that is (F^T F + n lambda I) c = F^T y.
        target_norm: r = |beta_t|.
        source_ratio: g_s = n_s/d > 0, inf for a population: turns theta into phi, see `pretrained_angle`.
        source_noise_std: sigma_s >= 0.
        source_norm: rho_s = |beta_s|; it matters only beside source noise.
        dim: d >= 2, for the mean over finite source sets, with the part of the target that they find by chance: the
            size of the source noise is integrated, its direction and the span enter to second order (.003 of 1 at
            n_s = 5, d = 20, less above). At g_s = 1 the mean is finite.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast. Infinite for n <= 2 at ridge 0; finite at any n > 0 with
        a ridge. At g_s = 1 with source noise cos phi = 0 without `dim`. Exact in n for a population source; integrals
        over S to rounding. The gradient at ridge 0 is that from above. Nothing special happens at theta = pi/2.

    Source: Theorems 3.7 and 3.8; the finite source and finite n with a ridge are absent from the paper.
    """
    count, ridge, noise, floor, signal = _split(
        overlap_angle, noise_std, num_samples, ridge, target_norm, source_ratio, source_noise_std, source_norm, dim
    )
    shrinkage, variance = refit_moments(count, ridge)
    return floor + signal * shrinkage + _arrays.times(noise**2 + floor, variance)


def _split(
    overlap_angle, noise_std, num_samples, ridge, target_norm, source_ratio, source_noise_std, source_norm, dim
) -> tuple[Array, Array, Array, Array, Array]:
    """n, lambda and sigma, and the target's energy off and on the learned feature; the arguments are checked first."""
    _arrays.check_pair(overlap_angle, noise_std, target_norm, source_norm)
    _arrays.check_source(source_ratio, source_noise_std)
    _checks.check_positive("num_samples", num_samples, remedy="Pass at least one target sample.")
    _checks.check_nonnegative("ridge", ridge)
    _arrays.check_dim(dim, 2)
    angle, noise, count, ridge, norm, ratio, source_noise, source_norm, *rest = _arrays.common(
        overlap_angle, noise_std, num_samples, ridge, target_norm, source_ratio, source_noise_std, source_norm,
        *([] if dim is None else [dim]),
    )  # fmt: skip
    lost = lost_alignment(ratio, source_noise, source_norm, *rest or [None])
    along, across = jnp.cos(angle) ** 2, jnp.sin(angle) ** 2
    by_chance = lost / (rest[0] - 1) if rest else jnp.zeros_like(lost)
    floor = norm**2 * (across * (1 - by_chance) + along * lost)
    return count, ridge, noise, floor, norm**2 * (along * (1 - lost) + across * by_chance)


def optimal_linear_transfer_ridge(
    overlap_angle: Numbers,
    noise_std: Numbers,
    *,
    num_samples: Numbers,
    target_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    source_norm: Numbers = 1.0,
    dim: Numbers | None = None,
) -> Result:
    """The ridge of the probe with the least risk: n lambda = (sigma^2 + rho)/a^2, the best for every S at once.

    Args:
        overlap_angle: theta in [0, pi], radians.
        noise_std: sigma >= 0.
        num_samples: n > 0 target samples (finite).
        target_norm: r = |beta_t|.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.
        source_norm: rho_s = |beta_s|.
        dim: d >= 2, as in `linear_transfer_risk`.

    Returns:
        lambda of `linear_transfer_risk`, the arguments broadcast; inf where the feature says nothing of the target
        (a = 0), 0 without noise and misfit.

    Source: derived here, from the derivative of (a^2 t^2 + (sigma^2 + rho) S)/(S + t)^2 in t = n lambda.
    """
    count, _, noise, floor, signal = _split(
        overlap_angle, noise_std, num_samples, 0.0, target_norm, source_ratio, source_noise_std, source_norm, dim
    )
    seen = signal > 0
    return jnp.where(seen, (noise**2 + floor) / (count * _arrays.guarded(seen, signal)), jnp.inf)


def optimal_linear_transfer_risk(
    overlap_angle: Numbers,
    noise_std: Numbers,
    *,
    num_samples: Numbers = np.inf,
    target_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    source_norm: Numbers = 1.0,
    dim: Numbers | None = None,
) -> Result:
    """Mean excess risk of linear transfer with the best ridge: the tuned probe, finite at every n.

    R = rho + (sigma^2 + rho) E[1/(S + (sigma^2 + rho)/a^2)], S ~ chi^2_n, with rho and a of `linear_transfer_risk`.

    Args:
        overlap_angle: theta in [0, pi], radians.
        noise_std: sigma >= 0.
        num_samples: n > 0; inf for the limit.
        target_norm: r = |beta_t|.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.
        source_norm: rho_s = |beta_s|.
        dim: d >= 2, as in `linear_transfer_risk`.

    Returns:
        The least value of `linear_transfer_risk` over its ridge, the arguments broadcast; between rho and r^2.

    Source: derived here, see `optimal_linear_transfer_ridge`.
    """
    count, _, noise, floor, signal = _split(
        overlap_angle, noise_std, num_samples, 0.0, target_norm, source_ratio, source_noise_std, source_norm, dim
    )
    label = noise**2 + floor
    return floor + best_refit(count, label, signal)
