"""Error of a linear probe on the features: leave-one-out cross-validation, or on its own training data."""

import numpy as np
from jaxtyping import Real

from tlx._checks import check_choice, check_nonnegative
from tlx.feature_scores import _sample

EVALUATIONS = ("leave_one_out", "train")


def linear_mse(
    features: Real[np.ndarray, "n k"],
    labels: Real[np.ndarray, "n"],
    *,
    ridge: float = 0.0,
    intercept: bool = False,
    evaluation: str = "leave_one_out",
) -> float:
    """Mean squared error of the probe min_c (1/n)|F c - y|² + ridge |c|²; smaller promises better transfer.

    Leave-one-out: (1/n) sum_i (e_i/(1 - h_i))², e the residuals of the fit on all rows and h the diagonal of
    F (FᵀF + n ridge I)^-1 Fᵀ; the same as n separate fits on n - 1 rows, each at penalty n ridge.

    Args:
        features: F, shape (n, k).
        labels: y, shape (n,).
        ridge: >= 0; 0 is least squares, the minimum-norm one where features repeat one another.
        intercept: centre features and labels, as a fit with a constant does (it costs one degree of freedom).
        evaluation: "leave_one_out" (nearly unbiased for the risk plus label noise at n - 1 rows) or "train" (too
            small by the factor (n - k)/n for well-specified least squares).

    Raises:
        ValueError: leave-one-out at ridge 0 where the fit passes through some label whatever it is (n <= rank, or a
            feature that is non-zero in a single row).
    """
    check_choice("evaluation", evaluation, EVALUATIONS)
    check_nonnegative("ridge", ridge)
    features, labels = _sample.checked(features, labels)
    count = len(labels)
    if intercept:
        features, labels = features - np.mean(features, axis=0), labels - np.mean(labels)
    left, values = _sample.decomposed(features)
    smoothed = left * (values**2 / (values**2 + count * ridge))[None, :]
    residual = labels - smoothed @ (left.T @ labels)
    if evaluation == "train":
        return float(np.mean(residual**2))
    leverage = np.sum(smoothed * left, axis=1) + (1 / count if intercept else 0.0)
    free = 1 - leverage
    if np.any(free <= 1e-9):
        row = int(np.argmin(free))
        raise ValueError(
            f"{values.size} independent features fit row {row} of {count} whatever its label: leave-one-out says "
            "nothing. Give more rows, fewer features or ridge > 0."
        )
    return float(np.mean((residual / free) ** 2))
