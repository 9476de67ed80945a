"""Means over instances, their standard errors, and distances from theory in those units."""

from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A mean over usable instances.

    Attributes:
        mean: NaN where no instance is usable.
        standard_error: sample standard deviation / sqrt(count); NaN where count < 2.
        count: usable instances.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    count: np.ndarray


def estimate(values: np.ndarray, usable: np.ndarray | None = None, axis: int = -1) -> Estimate:
    """Mean and standard error along `axis`; instances that are not usable are left out and not counted."""
    values = np.asarray(values, dtype=np.float64)
    usable = np.isfinite(values) if usable is None else np.broadcast_to(usable, values.shape) & np.isfinite(values)
    count = usable.sum(axis)
    total = np.where(usable, values, 0.0).sum(axis)
    mean = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    square = np.where(usable, (values - np.expand_dims(mean, axis)) ** 2, 0.0).sum(axis)
    variance = np.divide(square, count - 1, out=np.full(np.shape(total), np.nan), where=count > 1)
    return Estimate(mean, np.sqrt(variance / np.maximum(count, 1)), count)


def z_score(measured: Estimate, theory: float | np.ndarray, resolution: float | np.ndarray = 1e-5) -> np.ndarray:
    """(mean - theory) / standard error: how many standard errors the measurement is from the theory.

    Args:
        measured: from `estimate`.
        theory: broadcastable to `measured.mean`.
        resolution: the absolute accuracy of one training run (stopping tolerance and float32 rounding), added
            to the standard error in quadrature so that cells without any scatter (noise 0, angle 0) are
            compared at the accuracy they have. NaN where the theory is infinite or nothing was measured.
    """
    error = np.sqrt(measured.standard_error**2 + resolution**2)
    finite = np.isfinite(theory) & np.isfinite(measured.mean) & np.isfinite(error)
    difference = np.where(finite, measured.mean - np.where(finite, theory, 0.0), np.nan)
    return difference / np.where(finite, error, 1.0)
