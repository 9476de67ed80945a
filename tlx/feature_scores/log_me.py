"""LogME: the largest marginal likelihood of the labels under Bayesian linear regression on the features."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from tlx.feature_scores import _sample

_POINTS = 241
_ZOOMS = 6


class Evidence(NamedTuple):
    """The maximum of the evidence.

    Attributes:
        log_evidence: log p(y | F, alpha, beta) / n at the maximum, in nats a sample.
        weight_precision: alpha; infinite where features of no use are best switched off.
        noise_precision: beta; infinite where the features reproduce the labels.
    """

    log_evidence: float
    weight_precision: float
    noise_precision: float


def log_me(features: Real[np.ndarray, "n k"], labels: Real[np.ndarray, "n"]) -> float:
    """LogME = max over alpha, beta of log p(y | F, alpha, beta) / n; larger promises better transfer.

    y = F w + e, w ~ N(0, I/alpha), e ~ N(0, I/beta), hence p(y | F) = N(y; 0, F Fᵀ/alpha + I/beta).

    Args:
        features: F, shape (n, k), n >= 2, used as they are: no intercept and no centring, as published (append a
            column of ones for an intercept). Any common scale of the features leaves the score unchanged.
        labels: y, shape (n,). Scaling y by c adds -log c: compare tasks only at one label scale.

    Returns:
        Nats a sample. Infinite if features of a rank below n reproduce the labels exactly.

    Source: You, Liu, Wang, Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021.
    """
    return maximum_evidence(features, labels).log_evidence


def maximum_evidence(features: Real[np.ndarray, "n k"], labels: Real[np.ndarray, "n"]) -> Evidence:
    """The evidence of `log_me` at its maximum, and the two precisions there.

    With s_i, z_i the singular values of F and the components of y along them, lambda = alpha/beta and
    Q = |y|² - sum_i z_i² s_i²/(s_i² + lambda), the best noise is 1/beta = Q/n, and what is left is a function of one
    number, -(n/2)(log(2 pi Q/n) + 1) - (1/2) sum_i log(1 + s_i²/lambda), maximised on a grid of log lambda that is
    narrowed around its best point. (The published fixed-point iteration finds a stationary point of the same.)

    Args:
        features: F, shape (n, k), n >= 2.
        labels: y, shape (n,).
    """
    features, labels = _sample.checked(features, labels)
    count = len(labels)
    left, values = _sample.decomposed(features)
    power = float(labels @ labels)
    along = (left.T @ labels) ** 2
    rest = max(power - float(np.sum(along)), 0.0)
    if rest <= 1e3 * count * np.finfo(float).eps * power:
        rest = 0.0
    if rest == 0.0 and len(values) < count:
        return Evidence(np.inf, 0.0, np.inf)
    if len(values) == 0:
        return Evidence(float(_profile(np.zeros(1), values, along, rest, count)[0]), np.inf, count / power)
    centre = np.log(np.mean(values**2))
    low, high = 2 * np.log(values[-1]) - centre - 35, 2 * np.log(values[0]) - centre + 35
    for _ in range(_ZOOMS):
        grid = np.linspace(low, high, _POINTS)
        best = grid[int(np.argmax(_profile(grid + centre, values, along, rest, count)))]
        step = grid[1] - grid[0]
        low, high = best - step, best + step
    log_ratio = best + centre
    value = float(_profile(np.array([log_ratio]), values, along, rest, count)[0])
    noise = count / float(_misfit(np.array([log_ratio]), values, along, rest)[0])
    return Evidence(value, float(np.exp(log_ratio)) * noise, noise)


def _misfit(log_ratio: np.ndarray, values: np.ndarray, along: np.ndarray, rest: float) -> Float[np.ndarray, "ratios"]:
    """Q at each log(alpha/beta)."""
    ratio = np.exp(log_ratio)[:, None]
    return rest + np.sum(along[None, :] * ratio / (ratio + values[None, :] ** 2), axis=1)


def _profile(log_ratio, values, along, rest, count) -> Float[np.ndarray, "ratios"]:
    """log evidence / n at each log(alpha/beta), the noise at its best."""
    occam = np.sum(np.log1p(values[None, :] ** 2 / np.exp(log_ratio)[:, None]), axis=1)
    fit = np.log(2 * np.pi * _misfit(log_ratio, values, along, rest) / count) + 1
    return -0.5 * (fit + occam / count)
