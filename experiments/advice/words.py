"""Word vectors to valence: the planner's advice and estimates, and every method fitted and tested on other words."""

from typing import NamedTuple

import numpy as np

from experiments.advice import packages
from tlx.planner import leave_one_out as loo

PROTOCOLS = ("scratch", "linear_transfer", "ridge_scratch", "ridge_probe", "source_ridge", "null")
PLAIN = ("scratch", "linear_transfer")  # what the planner is asked about first; then all of PROTOCOLS


class Truth(NamedTuple):
    """What all words say.

    Attributes:
        rating_variance: of one rating about its word's mean.
        misfit: k -> mean square of what the best linear form of k numbers leaves of a word's mean, without that noise.
    """

    rating_variance: float
    misfit: dict[int, float]


def truth(widths: list[int]) -> Truth:
    """The label noise, known from ten ratings a word, and the misfit, unbiased from all words."""
    found = packages.words()
    count, raters = found.ratings.shape
    variance = float(np.mean(np.var(found.ratings, axis=1, ddof=1)))
    labels = found.ratings.mean(axis=1) - found.ratings.mean()
    out = {}
    for width in widths:
        left = labels - found.vectors[:, :width] @ (found.vectors[:, :width].T @ labels / count)
        out[width] = float(np.sum(left**2) / (count - width - 1)) - variance / raters
    return Truth(variance, out)


def pilot(count: int, raters: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Words of a pilot, and their labels: means of `raters` of the ten ratings, drawn for each word."""
    found = packages.words()
    rows = random.choice(len(found.words), count, replace=False)
    ratings = random.permuted(found.ratings[rows], axis=1)[:, :raters]
    return rows, ratings.mean(axis=1)


def fitted(inputs: np.ndarray, labels: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """Method -> weights (257,), the last one the constant, fitted to a pilot."""
    mean, level = inputs.mean(axis=0), labels.mean()
    rows, left = inputs - mean, labels - level
    probe = rows[:, :width]
    out = {
        "scratch": np.linalg.pinv(rows) @ left,
        "linear_transfer": np.linalg.pinv(probe) @ left,
        "ridge_scratch": ridge(rows, left),
        "ridge_probe": ridge(probe, left),
        "null": np.zeros(0),
    }
    if width < len(rows) - 1:  # ridge on what the features leave; then the features on what that leaves
        basis = np.linalg.qr(probe)[0]
        rest = rows[:, width:] - basis @ (basis.T @ rows[:, width:])
        beyond = ridge(rest, left - basis @ (basis.T @ left), basis)
        on = np.linalg.pinv(probe) @ (left - rows[:, width:] @ beyond)
        out["source_ridge"] = np.concatenate([on, beyond])
    else:
        out["source_ridge"] = out["scratch"]
    every = {}
    for name in PROTOCOLS:
        weights = np.zeros(inputs.shape[1] + 1)
        weights[: len(out[name])] = out[name]
        weights[-1] = level - mean @ weights[:-1]
        every[name] = weights
    return every


def ridge(rows: np.ndarray, labels: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Weights of ridge regression at the penalty of least leave-one-out error, the one that the planner speaks of.

    rows, labels: freed of their means, and of the columns of `known` where some are given.
    """
    constant = np.ones((len(rows), 1))
    beside = constant if known is None else np.concatenate([constant, known], axis=1)
    smoother = loo.of_inputs(rows, beside)
    penalty = loo.tune(smoother, labels[:, None]).penalty * smoother.level
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    return right.T @ (values / (values**2 + penalty) * (left.T @ labels))


def trial(count: int, width: int, raters: int, random: np.random.Generator, options: dict) -> dict[str, np.ndarray]:
    """One pilot: tested errors, what the planner said of plain and of all methods, and what it estimated."""
    from tlx import planner

    found, known = packages.words(), truth([width])
    rows, labels = pilot(count, raters, random)
    inputs = found.vectors[rows]
    others = np.setdiff1d(np.arange(len(found.words)), rows)
    design = np.column_stack([found.vectors[others], np.ones(len(others))])
    weights = np.stack([fitted(inputs, labels, width)[name] for name in PROTOCOLS], axis=1)
    squares = (design @ weights - found.ratings[others].mean(axis=1)[:, None]) ** 2
    noise = known.rating_variance / found.ratings.shape[1]
    given = {"features": inputs[:, :width], "covariance": "identity", "sample_sizes": np.array([count])}
    said = [planner.plan(inputs, labels, **given, **options, methods=names) for names in (PLAIN, PROTOCOLS)]
    held = [said[0].held_out[name] for name in PROTOCOLS]
    return {
        "error": squares.mean(axis=0) - noise,
        "test_se": squares.std(axis=0) / np.sqrt(len(others)),
        "held_out": np.array([one.error for one in held]) - known.rating_variance / raters,
        "held_out_se": np.array([one.standard_error for one in held]),
        "advice": np.array([code(plan.recommendation) for plan in said]),
        "noise": np.array(said[0].estimates["noise_std"][:3]),
        "broken": np.array(len(said[0].broken) > 0),
    }


def nothing() -> dict[str, np.ndarray]:
    """What stands where there are fewer words than features: no number, and advice -2 (not asked)."""
    blank = np.full(len(PROTOCOLS), np.nan)
    out = dict.fromkeys(("error", "test_se", "held_out", "held_out_se"), blank)
    return {**out, "advice": np.full(2, -2), "noise": np.full(3, np.nan), "broken": np.array(False)}


def code(name: str) -> int:
    """The position of a method among PROTOCOLS, -1 for "undecided"."""
    return PROTOCOLS.index(name) if name in PROTOCOLS else -1


def form(count: int, width: int, random: np.random.Generator) -> tuple[float, float]:
    """Excess error of the probe on `count` words over its misfit and noise, and what the features alone make of it.

    The second is tr(S (X^T X)^-1), the same for any labels with even noise: it needs no label.
    """
    found = packages.words()
    rows, labels = pilot(count, found.ratings.shape[1], random)
    inputs = found.vectors[rows][:, :width]
    others = np.setdiff1d(np.arange(len(found.words)), rows)
    centred = inputs - inputs.mean(axis=0)
    weights = np.linalg.lstsq(centred, labels - labels.mean())[0]
    level = labels.mean() - inputs.mean(axis=0) @ weights
    errors = (found.vectors[others][:, :width] @ weights + level - found.ratings[others].mean(axis=1)) ** 2
    known = truth([width])
    least = known.misfit[width] + known.rating_variance / found.ratings.shape[1]
    return float(errors.mean() / least - 1), float(np.trace(np.linalg.inv(centred.T @ centred)))


def elliptical_factor(lengths: np.ndarray, width: int, count: int) -> float:
    """Excess factor k c of least squares on k features whose rows are sqrt(w) times Gaussian, E w = 1.

    1/c = sum_i w_i/(1 + k c w_i) over the rows; for equal w it is k/(n - k). It is larger for uneven ones, because
    few long rows carry the fit. Derived here from the deterministic equivalent of the inverse of X^T X; it is exact as
    k and n grow together. One row is taken off for the mean, and one more so that equal w give the exact k/(n - k - 2).

    Args:
        lengths: (m,) squared Mahalanobis lengths |x|²/k of rows, labelled or not; count: n > k + 2.
    """
    weights, rows = lengths / np.mean(lengths), count - 2
    low, high = np.log(1e-6), np.log(1e9)
    for _ in range(100):
        middle = (low + high) / 2
        scaled = np.exp(middle) / width  # c
        more = rows * np.mean(weights * scaled / (1 + np.exp(middle) * weights)) > 1
        low, high = (low, middle) if more else (middle, high)
    return float(np.exp(low))


def squared_lengths(width: int) -> np.ndarray:
    """|x|²/k of every word's first k numbers."""
    return np.sum(packages.words().vectors[:, :width] ** 2, axis=1) / width
