"""Tests of normality from sample skewness and kurtosis, and ranks, in NumPy: importing scipy.stats would cost more."""

import numpy as np
from jaxtyping import Float

Columns = Float[np.ndarray, "n ..."]


def skewness_score(columns: Columns) -> np.ndarray | np.floating:
    """Standard normal score of the sample skewness along the first axis (D'Agostino 1970), n >= 8."""
    count = len(columns)
    centred = columns - np.mean(columns, axis=0)
    skew = np.mean(centred**3, axis=0) / np.mean(centred**2, axis=0) ** 1.5
    scaled = skew * np.sqrt((count + 1) * (count + 3) / (6.0 * (count - 2)))
    beta = 3.0 * (count**2 + 27 * count - 70) * (count + 1) * (count + 3)
    beta /= (count - 2.0) * (count + 5) * (count + 7) * (count + 9)
    square = np.sqrt(2 * (beta - 1)) - 1
    return np.arcsinh(scaled / np.sqrt(2.0 / (square - 1))) / np.sqrt(0.5 * np.log(square))


def kurtosis_score(columns: Columns) -> np.ndarray | np.floating:
    """Standard normal score of the sample kurtosis along the first axis (Anscombe and Glynn 1983), n >= 20."""
    n = float(len(columns))
    centred = columns - np.mean(columns, axis=0)
    kurtosis = np.mean(centred**4, axis=0) / np.mean(centred**2, axis=0) ** 2
    mean, variance = 3.0 * (n - 1) / (n + 1), 24.0 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis - mean) / np.sqrt(variance)
    beta = 6.0 * (n**2 - 5 * n + 2) / ((n + 7) * (n + 9)) * np.sqrt(6.0 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    dof = 6.0 + 8.0 / beta * (2.0 / beta + np.sqrt(1 + 4.0 / beta**2))
    ratio = np.cbrt((1 - 2.0 / dof) / (1 + x * np.sqrt(2.0 / (dof - 4))))
    return (1 - 2.0 / (9 * dof) - ratio) / np.sqrt(2.0 / (9 * dof))


def ranks(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Ranks from 1, the mean rank for ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
