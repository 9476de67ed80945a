"""Linear transfer: pretrained features frozen, last layer refitted (Theorems 3.7, 3.8), exact in n."""

import jax
import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.finite_source import lost_alignment
from tlx.theory.ridge import ridge_risk

_NODES = 257


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
        a ridge. At g_s = 1 with source noise cos phi = 0 without `dim`. Exact in n for a population source; integrals over S
        to rounding. Nothing special happens at theta = pi/2.

    Source: Theorems 3.7 and 3.8; the finite source and finite n with a ridge are absent from the paper.
    """
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
    signal = norm**2 * (along * (1 - lost) + across * by_chance)
    shrinkage, variance = refit_moments(count, ridge)
    return floor + signal * shrinkage + _arrays.times(noise**2 + floor, variance)


@jax.jit
def refit_moments(count: Array, ridge: Array) -> tuple[Array, Array]:
    """E[(n lambda)^2/(S + n lambda)^2] and E[S/(S + n lambda)^2] for S ~ chi^2_n: what is shrunk, what is noise.

    Closed at lambda = 0 (0 and 1/(n - 2)) and at n = inf (lambda^2/(1 + lambda)^2 and 0); else the trapezoid
    rule in log S, which converges exponentially because the integrand is analytic in a strip.
    """
    plain, endless = ridge == 0, jnp.isinf(count)
    safe_ridge = _arrays.guarded(~plain, ridge)
    safe_count = _arrays.guarded(~endless, count, 8.0)
    shrunk, noisy = _chi_square_integrals(safe_count, safe_ridge)
    enough = count > 2
    unridged = jnp.where(enough, 1 / _arrays.guarded(enough, count - 2), jnp.inf)
    shrinkage = jnp.where(endless, (ridge / (1 + ridge)) ** 2, jnp.where(plain, 0.0, shrunk))
    variance = jnp.where(endless, 0.0, jnp.where(plain, unridged, noisy))
    return shrinkage, variance


def _chi_square_integrals(count: Array, ridge: Array) -> tuple[Array, Array]:
    """Both integrals with S = n e^t, t on a grid wide enough for the tails at this n; weights normalised."""
    count, ridge = count[..., None], ridge[..., None]
    left = 72 / count + 9 * jnp.sqrt(2 / count)
    right = jnp.log1p(80 / count + 9 * jnp.sqrt(2 / count))
    nodes = jnp.linspace(0, 1, _NODES, dtype=count.dtype).reshape((1,) * (count.ndim - 1) + (-1,))
    log_size = nodes * (left + right) - left
    size = jnp.exp(log_size)
    log_weight = count / 2 * (log_size - jnp.expm1(log_size))
    weight = jnp.exp(log_weight)
    weight = weight / jnp.sum(weight, axis=-1, keepdims=True)
    shrunk = jnp.sum(weight * (ridge / (size + ridge)) ** 2, axis=-1)
    noisy = jnp.sum(weight * size / (size + ridge) ** 2, axis=-1) / count[..., 0]
    return shrunk, noisy


def feature_transfer_risk(
    num_features: Numbers,
    out_of_span_energy: Numbers,
    noise_std: Numbers,
    *,
    num_samples: Numbers = np.inf,
    in_span_energy: Numbers = 1.0,
    ridge: Numbers = 0.0,
) -> Result:
    """Mean excess risk of regression on k orthonormal features of Gaussian inputs.

    R = rho + (sigma^2 + rho) k/(n - k - 1) for n > k + 1; for n < k - 1 the minimum-norm fit,
    R = rho + e (1 - n/k) + (sigma^2 + rho) n/(k - n - 1). With a ridge, `ridge_risk` at n/k samples per feature.

    Args:
        num_features: k >= 1.
        out_of_span_energy: rho >= 0, squared norm of the target outside the span of the features.
        noise_std: sigma >= 0.
        num_samples: n > 0; inf for the limit.
        in_span_energy: e >= 0, squared norm of the target inside the span (seen only for n < k or with a ridge).
        ridge: lambda >= 0, penalty on the coefficients, (F^T F + n lambda I) c = F^T y.

    Returns:
        The risk, the arguments broadcast: exact at ridge 0, the limit of large k at fixed n/k with a ridge (and
        exact again as n -> inf). Infinite for n in {k-1, k, k+1} at ridge 0 unless sigma^2 + rho = 0.

    Source: Theorem 3.7 carried over to k features.
    """
    _checks.check_range("num_features", num_features, 1.0, remedy="Pass at least one feature.")
    for name, value in (("out_of_span_energy", out_of_span_energy), ("in_span_energy", in_span_energy),
                        ("noise_std", noise_std), ("ridge", ridge)):  # fmt: skip
        _checks.check_nonnegative(name, value)
    _checks.check_positive("num_samples", num_samples, remedy="Pass at least one target sample.")
    features, outside, noise, count, inside, ridge = _arrays.common(
        num_features, out_of_span_energy, noise_std, num_samples, in_span_energy, ridge
    )
    endless, plain = jnp.isinf(count), ridge == 0
    ratio = _arrays.guarded(~endless, count, 2.0) / features
    label = noise**2 + outside
    unfitted = inside * jnp.where(count < features, 1 - count / features, 0.0)
    unridged = unfitted + _arrays.times(label, _arrays.noise_gain_exact(count, features))
    live = label > 0
    spread = jnp.where(live, jnp.sqrt(_arrays.guarded(live, label)), 0.0)
    shrunk = ridge_risk(ratio, 0.0, _arrays.guarded(~plain, ridge)) * inside
    ridged = shrunk + ridge_risk(ratio, spread, _arrays.guarded(~plain, ridge), target_norm=0.0)
    limit = inside * (ridge / (1 + ridge)) ** 2
    return outside + jnp.where(plain, unridged, jnp.where(endless, limit, ridged))
