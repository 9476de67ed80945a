"""The sample that every score takes, checked, and its singular value decomposition."""

import numpy as np

from tlx._checks import require

FeaturesAndLabels = tuple[np.ndarray, np.ndarray]


def checked(features, labels, minimum: int = 2) -> FeaturesAndLabels:
    """Features (n, k) and labels (n,) in float64, or a refusal that names shape, row or column."""
    features, labels = np.asarray(features, dtype=float), np.asarray(labels, dtype=float)
    require(
        features.ndim == 2 and features.size > 0,
        f"features have shape {features.shape}: a matrix (n, k) with one row a sample is needed.",
    )
    require(
        labels.shape == features.shape[:1],
        f"labels have shape {labels.shape} beside features of shape {features.shape}: give one label a row.",
    )
    require(len(labels) >= minimum, f"n = {len(labels)} rows: at least {minimum} are needed.")
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"features[{row}, {column}] = {features[row, column]}: remove or impute it.")
    bad = np.flatnonzero(~np.isfinite(labels))
    if len(bad):
        raise ValueError(f"labels[{bad[0]}] = {labels[bad[0]]} (row {bad[0]}): remove or impute it.")
    require(np.ptp(labels) > 0, f"labels are constant ({labels[0]}): there is nothing to predict.")
    return features, labels


def decomposed(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors (n, r) and singular values (r,) of the part of the features above rounding."""
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    keep = values > max(features.shape) * np.finfo(float).eps * max(values[0], np.finfo(float).tiny)
    return left[:, keep], values[keep]
