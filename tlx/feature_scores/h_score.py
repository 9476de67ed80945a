"""H-score for a scalar regression target: the share of label variance that the features explain linearly."""

import numpy as np
from jaxtyping import Float, Real

from tlx.feature_scores import _sample


def h_score(features: Real[np.ndarray, "n k"], labels: Real[np.ndarray, "n"], *, shrinkage: float | str = 0.0) -> float:
    """H = tr(cov(F)^-1 cov(E[F | y])) with the linear conditional mean; larger promises better transfer.

    For a scalar target E[F | y] is taken linear in y, c (y - mean y)/var(y) with c = cov(F, y), so that
    H = cᵀ cov(F)^-1 c / var(y): the squared multiple correlation (R² of the least-squares probe with intercept).
    With shrinkage a the covariance is (1 - a) cov(F) + a (tr cov(F)/k) I and H is multiplied by 1 - a.

    Args:
        features: F, shape (n, k), n >= 2; centred here. Directions without variance are left out.
        labels: y, shape (n,); centred here.
        shrinkage: a in [0, 1), or "ledoit_wolf" for the estimate of the best a from the sample.

    Returns:
        Between 0 and 1, in-sample: features unrelated to y give k/(n - 1) on average without shrinkage.

    Source: Bao et al., "An information-theoretic approach to transferability in task transfer learning", ICIP 2019
    (classes); Ibrahim, Ponomareva, Mazumder, "Newer is not always better", ECML PKDD 2022 (shrinkage).
    """
    features, labels = _sample.checked(features, labels)
    centred, labels = features - np.mean(features, axis=0), labels - np.mean(labels)
    amount = _amount(centred, shrinkage)
    left, values = _sample.decomposed(centred)
    if len(values) == 0:
        return 0.0
    target = (1 - amount) * values**2 + amount * np.sum(values**2) / features.shape[1]
    along = (left.T @ labels) ** 2
    return float((1 - amount) * np.sum(along * values**2 / target) / (labels @ labels))


def ledoit_wolf(centred: Float[np.ndarray, "n k"]) -> float:
    """The shrinkage that brings (1 - a) S + a (tr S/k) I closest to the covariance in mean square.

    a = min(b², d²)/d², d² = |S - m I|²_F, b² = sum_i |x_i x_iᵀ - S|²_F / n², m = tr S/k.

    Source: Ledoit, Wolf, J. Multivariate Analysis 88, 2004.
    """
    count, width = centred.shape
    covariance = centred.T @ centred / count
    level = np.trace(covariance) / width
    power = np.sum(covariance**2)
    distance = power - width * level**2
    if distance <= 0:
        return 1.0
    error = (np.mean(np.sum(centred**2, axis=1) ** 2) - power) / count
    return float(min(max(error, 0.0), distance) / distance)


def _amount(centred: np.ndarray, shrinkage: float | str) -> float:
    if shrinkage == "ledoit_wolf":
        return ledoit_wolf(centred) if centred.shape[1] > 1 else 0.0
    if isinstance(shrinkage, str) or not 0 <= shrinkage < 1:
        raise ValueError(f"shrinkage = {shrinkage!r} must be a number in [0, 1) or 'ledoit_wolf'.")
    return float(shrinkage)
