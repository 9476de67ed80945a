"""Regression on k learned features (Theorem 3.7 carried over), with and without a ridge, at finite n."""

import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Numbers, Result
from tlx.theory._refit import feature_moments


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
    R = rho + e (1 - n/k) + (sigma^2 + rho) n/(k - n - 1). With a ridge R = rho - (e/k) t^2 phi'(t)
    + (sigma^2 + rho) (phi + t phi'), t = n lambda, phi(t) = E tr (F^T F + t)^{-1}.

    Args:
        num_features: k >= 1.
        out_of_span_energy: rho >= 0, squared norm of the target outside the span of the features.
        noise_std: sigma >= 0.
        num_samples: n > 0; inf for the limit.
        in_span_energy: e >= 0, squared norm of the target inside the span (seen only for n < k or with a ridge).
        ridge: lambda >= 0, penalty on the coefficients, (F^T F + n lambda I) c = F^T y.

    Returns:
        The risk, the arguments broadcast. Exact at ridge 0, at k = 1 (`linear_transfer_risk`), to first order in the
        ridge for n > k + 3, as n -> inf and as k -> inf at fixed n/k. Between, an approximation: terms within .5 % of
        drawn data for |n - k| >= 2, noise within 5 % and shrinkage within 11 % at n = k. Infinite for n in
        {k-1, k, k+1} at ridge 0 unless sigma^2 + rho = 0. The gradient at ridge 0 is that from above.

    Source: Theorem 3.7 carried over to k features; the ridge by leaving one feature out, derived here.
    """
    _checks.check_range("num_features", num_features, 1.0, remedy="Pass at least one feature.")
    for name, value in (("out_of_span_energy", out_of_span_energy), ("in_span_energy", in_span_energy),
                        ("noise_std", noise_std), ("ridge", ridge)):  # fmt: skip
        _checks.check_nonnegative(name, value)
    _checks.check_positive("num_samples", num_samples, remedy="Pass at least one target sample.")
    features, outside, noise, count, inside, ridge = _arrays.common(
        num_features, out_of_span_energy, noise_std, num_samples, in_span_energy, ridge
    )
    shrinkage, variance = feature_moments(features, count, ridge)
    return outside + inside * shrinkage + _arrays.times(noise**2 + outside, variance)
