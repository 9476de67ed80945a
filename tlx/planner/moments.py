"""Unbiased moment estimators of a linear task from a small labelled sample with inputs of known covariance.

All take whitened inputs (rows of mean zero and unit covariance) and labels y = x . b + noise of mean zero. None is
clipped: an estimate of a square may be negative, which is what unbiasedness costs.
"""

import numpy as np
from jaxtyping import Float

from tlx._checks import require

Inputs = Float[np.ndarray, "n d"]
Labels = Float[np.ndarray, "n"]


def signal_power(inputs: Inputs, labels: Labels) -> float:
    """Unbiased estimate of |b|², the squared norm of the task, by a U-statistic over pairs of different rows.

    |b|² = E[y_i y_j x_i . x_j], i != j:   (|Xᵀ y|² - sum_i y_i² |x_i|²) / (n (n - 1)).

    Args:
        inputs: (n, d) whitened, n >= 2.
        labels: (n,).

    Returns:
        The estimate; it needs no more than second moments of the inputs, whatever n/d. For Gaussian inputs its
        variance is about 4 |b|² (|b|² + sigma²) / n + 2 d (|b|² + sigma²)² / n².
    """
    count = len(labels)
    require(count >= 2, f"n = {count} rows: a pair of different rows needs n >= 2.")
    total = inputs.T @ labels
    own = np.sum(labels**2 * np.sum(inputs**2, axis=1))
    return float((total @ total - own) / (count * (count - 1)))


def noise_power(inputs: Inputs, labels: Labels) -> float:
    """Unbiased estimate of sigma²: the label power less the signal power.

    sigma² = E y² - |b|². Everything in the labels that is not linear in the inputs counts as noise.

    Args:
        inputs: (n, d) whitened, n >= 2.
        labels: (n,).
    """
    return float(np.mean(labels**2)) - signal_power(inputs, labels)


def overlap(inputs: Inputs, labels: Labels, source: Float[np.ndarray, "d"]) -> float:
    """Unbiased estimate of b . u, the part of the task along the source direction u = source/|source|.

    b . u = E[y x . u], estimated by regressing y on z = x . u: sum y z / sum z². For Gaussian inputs it is unbiased
    also given z, with n degrees of freedom of Student's t behind it.

    Args:
        inputs: (n, d) whitened.
        labels: (n,).
        source: (d,) not zero, of any norm.
    """
    along = inputs @ (source / np.linalg.norm(source))
    return float(labels @ along / (along @ along))


def residual_power(labels: Labels, features: Float[np.ndarray, "n k"]) -> float:
    """Unbiased estimate of sigma² plus the signal power outside the span of the features.

    |y - F c|² / (n - k) with c from least squares; F and the rest of x independent (Gaussian and whitened).

    Args:
        labels: (n,).
        features: (n, k) of full rank, k < n.
    """
    count, width = features.shape
    require(count > width, f"{width} features and {count} rows leave no residual: give more than {width} rows.")
    basis, _ = np.linalg.qr(features)
    left = labels - basis @ (basis.T @ labels)
    return float(left @ left / (count - width))
