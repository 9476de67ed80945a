"""The statistics behind the tests of the planner's assumptions: each is standard normal or a p-value if they hold."""

from typing import NamedTuple

import numpy as np
from scipy import special

from tlx.planner import _normality

_DUPLICATE = 1e-9


class Frame(NamedTuple):
    """What the labels look like beside their own held-out predictions.

    Left out, row i is new: its label and any prediction linear in its inputs are jointly Gaussian if the task is linear
    and the inputs Gaussian. Then label = a + b prediction + rest, the rest Gaussian, of constant variance and unrelated
    to squares and cubes of the predictions; that is what is tested.

    Attributes:
        directions: (n, m) standardised predictions: ridge regression on the inputs, and the source or the features.
        size: (n,) squared length of the scaled inputs, standardised.
        rest: (n,) labels without their part linear in `directions`, of unit variance.
        explained: squared correlation of the labels with `directions`.
    """

    directions: np.ndarray
    size: np.ndarray
    rest: np.ndarray
    explained: float


def frame(labels: np.ndarray, predictions: list[np.ndarray], size: np.ndarray) -> Frame:
    """The frame of `labels` (n,) with held-out `predictions`, each (n,), and squared input lengths (n,)."""
    columns = [_standard(p) for p in predictions if np.all(np.isfinite(p)) and np.ptp(p) > 1e-12 * np.ptp(labels)]
    count = len(labels)
    directions = np.stack(columns, axis=1) if columns else np.zeros((count, 0))
    rest = _without(labels, np.concatenate([np.ones((count, 1)), directions], axis=1))
    power = float(np.sum((labels - labels.mean()) ** 2))
    explained = 1 - float(rest @ rest) / power
    freedom = max(count - directions.shape[1] - 1, 1)
    level = np.sqrt(rest @ rest / freedom)
    return Frame(directions, _standard(size), rest / max(level, 1e-300), explained)


def nonlinearity(found: Frame) -> tuple[float, int]:
    """Smallest p-value of t tests of `rest` on squares, cubes and products of directions and on the input length."""
    directions = found.directions
    terms = [directions[:, i] * directions[:, j] for i in range(directions.shape[1]) for j in range(i + 1)]
    terms += [d**3 for d in directions.T] + [found.size]
    base = np.concatenate([np.ones((len(found.rest), 1)), directions], axis=1)
    freedom = len(found.rest) - base.shape[1] - 1
    values = []
    for term in terms:
        left = _without(term, base)
        if freedom < 5 or left @ left < 1e-12 * (term @ term):
            continue
        correlation = left @ found.rest / np.sqrt((left @ left) * (found.rest @ found.rest))
        values.append(_student(correlation, freedom))
    return _smallest(values)


def uneven_noise(found: Frame) -> tuple[float, int]:
    """Smallest p-value of rank correlations of |rest| with the directions, their sizes and the input length."""
    amount = _ranks(np.abs(found.rest))
    terms = [*found.directions.T, *np.abs(found.directions.T), found.size]
    freedom = len(amount) - 2
    if freedom < 5:
        return 1.0, 0
    return _smallest([_student(float(_ranks(term) @ amount), freedom) for term in terms])


def heavy_tails(found: Frame) -> float:
    """One-sided p-value of the kurtosis of `rest` (Anscombe and Glynn 1983); 1 below 20 rows."""
    if len(found.rest) < 20:
        return 1.0
    return float(special.ndtr(-_normality.kurtosis_score(found.rest)))


def not_normal(columns: np.ndarray) -> tuple[float, int]:
    """Smallest p-value of skewness and kurtosis over the columns, and how many were tried; 1 below 20 rows."""
    if len(columns) < 20:
        return 1.0, 0
    scores = np.concatenate([_normality.skewness_score(columns), _normality.kurtosis_score(columns)])
    return _smallest(list(2 * special.ndtr(-np.abs(scores))))


def squared_covariance_trace(centred: np.ndarray) -> float:
    """Unbiased tr S² of the rows' covariance, whatever their distribution and mean (a U-statistic of order 4).

    With A the Gram matrix without its diagonal: sum A²/(n)_2 - 2 sum* A_ij A_jk/(n)_3 + sum* A_ij A_kl/(n)_4; for rows
    whose mean is subtracted all three follow from |G|² and the squared lengths. Source: Chen, Zhang, Zhong, JASA 2010.
    """
    count, dim = centred.shape
    gram = centred @ centred.T if count <= dim else centred.T @ centred
    lengths = np.sum(centred**2, axis=1)
    fourth, total = float(np.sum(lengths**2)), float(np.sum(lengths))
    pairs = float(np.sum(gram**2)) - fourth
    triples, quadruples = fourth - pairs, total**2 - 4 * fourth + 2 * pairs
    two = count * (count - 1)
    three, four = two * (count - 2), two * (count - 2) * (count - 3)
    return pairs / two - 2 * triples / three + quadruples / four


def unequal_lengths(centred: np.ndarray) -> float:
    """Z = (Var|x|²/(2 tr S²) - 1) sqrt(n/2), standard normal for Gaussian rows in many dimensions; large if elliptical.

    In few dimensions |x|² is itself skewed: the standard deviation is then sqrt((2 + 12 tr S⁴/(tr S²)²)/n), and the
    logarithm is taken, whose distribution is closer to normal. tr S⁴/(tr S²)² is estimated from the sample covariance.
    """
    count = len(centred)
    trace = squared_covariance_trace(centred)
    if trace <= 0:
        return 0.0
    lengths = np.sum(centred**2, axis=1) * count / (count - 1)
    ratio = float(np.var(lengths, ddof=1)) / (2 * trace)
    spread = np.sqrt((2 + 12 / effective_dimension(centred)) / count)
    return float((np.log(max(ratio, 1e-12)) + spread**2 / 2) / spread)


def correlated(scaled: np.ndarray) -> float:
    """Excess of tr R²/d over 1 in units of its standard deviation 2/n, R the correlation matrix of the columns."""
    count, dim = scaled.shape
    if dim < 2:
        return 0.0
    return (squared_covariance_trace(scaled) / dim - 1) * count / 2


def duplicates(columns: np.ndarray) -> tuple[int, int] | None:
    """A pair of columns that are the same up to sign, scale and shift, or None."""
    scaled = (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-300)
    probe = np.random.default_rng(0).standard_normal((2, len(columns))) / np.sqrt(len(columns))
    marks = np.abs(probe @ scaled)
    order = np.argsort(marks[0])
    close = np.all(np.abs(np.diff(marks[:, order], axis=1)) < _DUPLICATE, axis=0)
    if not close.any():
        return None
    at = int(np.argmax(close))
    return tuple(sorted((int(order[at]), int(order[at + 1]))))


def dead(columns: np.ndarray, share: float = 0.95) -> int | None:
    """A column with one value in at least `share` of 20 or more rows, or None."""
    count = len(columns)
    run = int(np.ceil(share * count))
    if count < 20:
        return None
    ordered = np.sort(columns, axis=0)
    found = np.any(ordered[run - 1 :] == ordered[: count - run + 1], axis=0)
    return int(np.argmax(found)) if found.any() else None


def effective_dimension(centred: np.ndarray) -> float:
    """(tr S²)²/tr S⁴ from the sample covariance; at least 1 (few rows make it smaller than it is, on the safe side)."""
    count, dim = centred.shape
    gram = (centred @ centred.T if count <= dim else centred.T @ centred) / count
    square = gram @ gram
    return float(np.trace(square) ** 2 / np.sum(square**2))


def _standard(values: np.ndarray) -> np.ndarray:
    spread = np.std(values)
    return (values - np.mean(values)) / (spread if spread > 0 else 1.0)


def _without(values: np.ndarray, base: np.ndarray) -> np.ndarray:
    basis, _ = np.linalg.qr(base)
    return values - basis @ (basis.T @ values)


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = _normality.ranks(values)
    ranks = ranks - ranks.mean()
    return ranks / max(np.linalg.norm(ranks), 1e-300)


def _student(correlation: float, freedom: int) -> float:
    """Two-sided p-value of a correlation with `freedom` degrees left."""
    square = min(correlation**2, 1.0)
    return float(special.betainc(freedom / 2, 0.5, 1 - square))


def _smallest(values: list[float]) -> tuple[float, int]:
    return (float(min(values)), len(values)) if values else (1.0, 0)
