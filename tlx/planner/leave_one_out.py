"""Exact leave-one-out errors of linear smoothers in closed form: least squares, ridge, minimum norm, kernel regression.

Predictions B a + K alpha with an unpenalised part B (the constant, the source's predictions, features) and a penalised
part with kernel K = W Wᵀ. With P the projection away from B and P K P = U diag(l) Uᵀ, leaving row i out changes its
residual to

    e_i = (M y)_i / M_ii,      M = P - U diag(l/(l + p)) Uᵀ,      p the penalty,

the same as n separate fits on n - 1 rows, each at penalty p. At p -> 0 it is least squares (n above the rank) or the
interpolant of minimum norm (n at the rank, M replaced by its limit M/p).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_SMALLEST = 1e-10  # penalty that stands for none, relative to the mean eigenvalue
GRID = np.concatenate([[_SMALLEST], np.geomspace(1e-6, 1e4, 61)])  # penalties tried, relative to the mean eigenvalue


class Smoother(NamedTuple):
    """The penalised part of a linear smoother in its eigenbasis.

    Attributes:
        vectors, values: U and l, in decreasing order of l.
        basis: orthonormal columns that span B.
        spare: 1 - |B row|² - |U row|², the leverage that nothing uses; 0 throughout if U and B span everything.
    """

    vectors: Float[np.ndarray, "n r"]
    values: Float[np.ndarray, "r"]
    basis: Float[np.ndarray, "n p"]
    spare: Float[np.ndarray, "n"]

    @property
    def level(self) -> float:
        """Mean eigenvalue, the unit of relative penalties."""
        return float(np.mean(self.values)) if self.values.size and self.values[0] > 0 else 1.0


class Tuned(NamedTuple):
    """A fit at one penalty: `penalty` (relative to the mean eigenvalue), held-out `residuals` (n, outputs)."""

    penalty: float
    residuals: Float[np.ndarray, "n o"]

    @property
    def row_errors(self) -> Float[np.ndarray, "n"]:
        """Squared held-out error of each row, summed over outputs."""
        return np.sum(self.residuals**2, axis=1)


def of_inputs(inputs: Float[np.ndarray, "n d"], known: Float[np.ndarray, "n p"]) -> Smoother:
    """Ridge regression on `inputs`, with the columns of `known` unpenalised."""
    count, dim = inputs.shape
    basis = _orthonormal(known)
    rows = inputs - basis @ (basis.T @ inputs)
    if count <= dim:
        return of_kernel(rows @ rows.T, known)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    values, vectors = values[::-1], vectors[:, ::-1]
    keep = values > max(count, dim) * np.finfo(float).eps * max(values[0], 1e-300)
    values, vectors = values[keep], vectors[:, keep]
    return _finished((rows @ vectors) / np.sqrt(values), values, basis)


def of_kernel(
    kernel: Float[np.ndarray, "n n"], known: Float[np.ndarray, "n p"], precision: float = float(np.finfo(float).eps)
) -> Smoother:
    """Kernel ridge regression, with the columns of `known` unpenalised.

    precision: relative to the largest eigenvalue and per row, what is rounding of the kernel's entries.
    """
    basis = _orthonormal(known)
    kernel = kernel - basis @ (basis.T @ kernel)
    kernel = kernel - (kernel @ basis) @ basis.T
    values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    room = len(values) - basis.shape[1]
    keep = values[:room] > len(values) * precision * max(values[0], 1e-300)
    return _finished(vectors[:, :room][:, keep], values[:room][keep], basis)


def residuals(
    smoother: Smoother, labels: Float[np.ndarray, "n o"], penalties: Float[np.ndarray, "m"]
) -> Float[np.ndarray, "m n o"]:
    """Held-out residuals at each penalty (relative to the mean eigenvalue); NaN where any label would be fitted."""
    vectors, values, basis, spare = smoother
    full = bool(np.max(spare, initial=0.0) <= 1e-9)
    along = vectors.T @ labels
    outside = np.zeros_like(labels) if full else labels - basis @ (basis.T @ labels) - vectors @ along
    penalties = np.asarray(penalties, dtype=float)[:, None] * smoother.level
    kept = penalties / (values + penalties)
    if full:  # M/p in place of M: the ratio is the same
        kept = kept / np.maximum(np.max(kept, axis=1, initial=0.0, keepdims=True), 1e-300)
    free = kept @ (vectors**2).T + (0.0 if full else spare)
    ratio = outside + vectors @ (kept[:, :, None] * along)
    usable = free > 1e-9 * np.max(free, axis=1, initial=1e-300, keepdims=True)
    return np.where(usable[:, :, None], ratio / np.where(usable, free, 1.0)[:, :, None], np.nan)


def tune(smoother: Smoother, labels: Float[np.ndarray, "n o"], penalties: Float[np.ndarray, "m"] = GRID) -> Tuned:
    """The penalty with the least held-out error."""
    held_out = residuals(smoother, labels, penalties)
    errors = np.mean(np.sum(held_out**2, axis=2), axis=1)
    best = int(np.argmin(np.where(np.isfinite(errors), errors, np.inf)))
    return Tuned(float(penalties[best]), held_out[best])


def at_zero(smoother: Smoother, labels: Float[np.ndarray, "n o"]) -> Tuned:
    """Without a penalty: least squares, or the interpolant of minimum norm."""
    return Tuned(0.0, residuals(smoother, labels, np.array([_SMALLEST]))[0])


def unpenalised(known: Float[np.ndarray, "n p"], labels: Float[np.ndarray, "n o"]) -> Tuned:
    """Least squares on the columns of `known` alone."""
    basis = _orthonormal(known)
    free = 1 - np.sum(basis**2, axis=1)
    left = labels - basis @ (basis.T @ labels)
    usable = free > 1e-9
    return Tuned(0.0, np.where(usable[:, None], left / np.where(usable, free, 1.0)[:, None], np.nan))


def _orthonormal(known: np.ndarray) -> np.ndarray:
    if known.shape[1] == 0:
        return known
    left, values, _ = np.linalg.svd(known, full_matrices=False)
    return left[:, values > max(known.shape) * np.finfo(float).eps * np.max(values, initial=1e-300)]


def _finished(vectors: np.ndarray, values: np.ndarray, basis: np.ndarray) -> Smoother:
    spare = 1 - np.sum(basis**2, axis=1) - np.sum(vectors**2, axis=1)
    complete = vectors.shape[1] + basis.shape[1] >= len(vectors)
    return Smoother(vectors, values, basis, np.zeros(len(vectors)) if complete else np.maximum(spare, 0.0))
