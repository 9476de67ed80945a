"""Which of several pretrained representations predicts the labels best, or all of them together, by held-out errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from tlx._checks import check_range, require
from tlx.planner import _pilot, _table
from tlx.planner import leave_one_out as loo
from tlx.planner.answer import HeldOut
from tlx.planner.held_out import bootstrap_support, resampled_means
from tlx.planner.recommendation import choose

TOGETHER, NULL = "together", "null"
_FOLD_WORK = 2000  # rows times folds in which `together` is held out, at least 5 folds, at most one a row
_MOST = 0.999  # share of the label variance above which a representation is not trusted more
_NOTES = (
    "together: ridge regression on all representations side by side, each weighted by (R²/(1 - R²))² of its held-out "
    "share R² of the label variance. It is recommended unless a representation leads it by more than the tolerance.",
)


class Linear(NamedTuple):
    """Predictions constant + sum over representations of features @ coefficients (k,)."""

    constant: float
    coefficients: dict[str, Float[np.ndarray, "k"]]


class Fit(NamedTuple):
    """Ridge regression of the labels on a weighted sum of kernels: `penalty` (relative), `weights` and `dual` (n,)."""

    weights: dict[str, float]
    penalty: float
    dual: Float[np.ndarray, "n"]


@dataclass(frozen=True)
class FeatureComparison:
    """What a pilot says about several representations of the same rows. `print` shows it as a table.

    Attributes:
        recommendation: the name of a representation, "together", "null" (the mean label) or "undecided".
        confidence: the support of the leading one.
        support: share of bootstrap resamples in which each is the best or within the tolerance of the best; of
            "together", in which it is within the tolerance of a rival, for the rival for which that is rarest.
        leading: the one with the largest support.
        held_out: name -> HeldOut on the pilot, in units of the labels squared; of "together", weights and penalty are
            found anew for each part of the rows that is held out.
        weights: share of each representation in "together"; they sum to 1, or to 0 where none predicts anything.
        notes: what the numbers are.
    """

    recommendation: str
    confidence: float
    support: dict[str, float]
    leading: str
    held_out: dict[str, HeldOut]
    weights: dict[str, float]
    notes: tuple[str, ...]
    _count: int
    _fits: dict[str, Linear]

    def predict(self, features: Mapping[str, Real[np.ndarray, "m k"]], which: str | None = None) -> np.ndarray:
        """Predicted labels (m,) of new rows by ridge regression on the whole pilot.

        features: name -> (m, k) features of the new rows, of every representation that is used.
        which: a representation, "together" or "null"; None takes the recommended one, or the leading if undecided.
        """
        name = (self.leading if self.recommendation == "undecided" else self.recommendation) if which is None else which
        require(name in self._fits, f"which = {name!r} is none of {', '.join(self._fits)}.")
        constant, coefficients = self._fits[name]
        absent = [key for key in coefficients if key not in features]
        require(not absent, f"features lack {', '.join(absent)}, which {name!r} uses.")
        out = np.full(len(next(iter(features.values()), ())), constant)
        for key, own in coefficients.items():
            given = _pilot.matrix(f"features[{key!r}]", features[key])
            width = len(own)
            require(given.shape[1] == width, f"features[{key!r}] have {given.shape[1]} columns, the pilot's {width}.")
            out = out + given @ own
        return out

    def __str__(self) -> str:
        share = f"{100 * self.confidence:.0f} % of resamples"
        head = f"Recommendation: {self.recommendation} ({share})."
        if self.recommendation == "undecided":
            head = f"Undecided: {self.leading} leads with {share}."
        rows = []
        for name in sorted(self.held_out, key=lambda name: self.held_out[name].error):
            found = self.held_out[name]
            measured = f"{_table.number(found.error)} ± {_table.number(found.standard_error, 2)}"
            weight = f"{100 * self.weights[name]:.0f} %" if name in self.weights else ""
            rows.append([name, measured, f"{100 * self.support[name]:.0f} %", weight])
        titles = ["representation", f"held out, n = {self._count}", "support", "share in together"]
        lines = [*_table.sentences([head], ""), "", *_table.table(titles, rows), ""]
        return "\n".join([*lines, *_table.sentences(list(self.notes), "")])


def compare_features(
    features: Mapping[str, Real[np.ndarray, "n k"]],
    labels: Real[np.ndarray, "n"],
    *,
    tolerance: float = 0.05,
    confidence: float = 0.9,
    seed: int = 0,
) -> FeatureComparison:
    """Ridge regression on each representation, on all together, and the mean label: held-out errors, and advice.

    Each representation is centred and scaled to rows of mean square length 1, has an unpenalised constant and its best
    penalty; its error is exact leave-one-out. "together" is ridge regression with the kernel sum_j w_j K_j, K_j the
    kernel of representation j and w_j proportional to (R²_j/(1 - R²_j))², R²_j the share of the label variance that it
    predicts held out. It is recommended if no representation leads it by more than the tolerance in half of the
    resamples, one alone if it is as good as the best in `confidence` of them.

    Why together by default: with a dozen representations and 20 to 60 rows the one that leads is often not the best,
    while the sum is seldom worse than the best. The weights' form was found with boiling points, densities and electron
    affinities of the chemical elements; `experiments.real_data` measures it on two other properties.

    Args:
        features: name -> (n, k) features, n >= 8 rows, the same for all; k may differ and exceed n.
        labels: (n,) numbers.
        tolerance: a representation within this relative distance of the least error is as good as the best.
        confidence: least share of resamples for which one representation is recommended.
        seed: of the resampling and the parts that are held out.

    Raises:
        ValueError: too few rows, constant labels, non-finite numbers, a constant representation, other row counts.

    Costs (representations) x (10 to 40 below 200 rows, then 6) eigendecompositions of n x n.
    """
    check_range("tolerance", tolerance, 0.0, 10.0)
    check_range("confidence", confidence, 0.5, 1.0, remedy="It is a share of resamples.")
    labels = _pilot.vector("labels", labels)
    features = _checked(features, labels)
    count = len(labels)
    centred = {name: rows - rows.mean(axis=0) for name, rows in features.items()}  # large means would cost digits
    fits, rows = _fits_and_errors(centred, labels, seed)
    support = bootstrap_support(rows, 0.0, tolerance, seed)
    recommendation, leading, share = choose(support, confidence)
    support[TOGETHER] = _unbeaten(rows, tolerance, seed)
    if recommendation == "undecided" and support[TOGETHER] >= 0.5:
        recommendation = leading = TOGETHER
        share = support[TOGETHER]
    return FeatureComparison(
        recommendation=recommendation,
        confidence=share,
        support=support,
        leading=leading,
        held_out={
            name: HeldOut(float(np.mean(one)), float(np.std(one, ddof=1) / np.sqrt(count)), fits[name].penalty)
            for name, one in rows.items()
        },
        weights=fits[TOGETHER].weights,
        notes=_NOTES,
        _count=count,
        _fits={name: _linear(fit, features, centred, float(np.mean(labels))) for name, fit in fits.items()},
    )


def _fits_and_errors(
    centred: dict[str, np.ndarray], labels: np.ndarray, seed: int
) -> tuple[dict[str, Fit], dict[str, np.ndarray]]:
    """Each representation, all together and the mean label: the fit on all rows, and held-out squared errors a row."""
    grams = {name: rows @ rows.T for name, rows in centred.items()}
    every = np.arange(len(labels))
    alone, combined = _together({name: _centred(gram, every, every)[0] for name, gram in grams.items()}, labels)
    fits = {name: one[0] for name, one in alone.items()} | {
        TOGETHER: combined,
        NULL: Fit({}, 0.0, np.zeros(len(labels))),
    }
    rows = {name: one[1].row_errors for name, one in alone.items()}
    rows[TOGETHER] = _held_out(grams, labels, seed) ** 2
    rows[NULL] = _of_mean(labels).row_errors
    return fits, rows


def _checked(features: Mapping, labels: np.ndarray) -> dict[str, np.ndarray]:
    require(len(features) > 0, "features is empty: give name -> (n, k) features, at least one.")
    taken = [name for name in features if name in (TOGETHER, NULL, "undecided")]
    require(not taken, f"features has the name {taken[0] if taken else ''!r}, which is an answer: call it otherwise.")
    require(len(labels) >= 8, f"labels have {len(labels)} rows: at least 8 are needed.")
    require(np.ptp(labels) > 0, f"labels are constant ({labels[0]}): nothing to learn.")
    out = {}
    for name, given in features.items():
        rows = _pilot.matrix(f"features[{name!r}]", given)
        require(
            len(rows) == len(labels), f"features[{name!r}] have {len(rows)} rows and labels {len(labels)}: one a row."
        )
        require(
            bool(np.any(np.ptp(rows, axis=0) > 0)), f"features[{name!r}] are the same in every row: leave them out."
        )
        out[name] = rows
    return out


def _linear(fit: Fit, features: dict[str, np.ndarray], centred: dict[str, np.ndarray], level: float) -> Linear:
    """What a fit predicts of new rows, from its dual coefficients."""
    used = {
        name: weight / np.mean(np.sum(centred[name] ** 2, axis=1)) for name, weight in fit.weights.items() if weight
    }
    coefficients = {name: weight * (centred[name].T @ fit.dual) for name, weight in used.items()}
    offset = sum(float(features[name].mean(axis=0) @ own) for name, own in coefficients.items())
    return Linear(level - offset, coefficients)


def _centred(gram: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernels train x train and test x train of rows centred by the mean of `train`, of mean square length 1 there."""
    own, cross = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    means = own.mean(axis=0)
    own = own - means[None, :] - means[:, None] + means.mean()
    cross = cross - cross.mean(axis=1, keepdims=True) - means[None, :] + means.mean()
    level = max(np.trace(own) / len(train), np.finfo(float).tiny)
    return own / level, cross / level


def _fitted(kernels: dict[str, np.ndarray], weights: dict[str, float], labels: np.ndarray) -> tuple[Fit, loo.Tuned]:
    """Ridge regression with the weighted sum of kernels at its best penalty, and its leave-one-out residuals."""
    ones = np.ones((len(labels), 1))
    used = [weights[name] * kernel for name, kernel in kernels.items() if weights[name] > 0]
    if not used:
        return Fit(weights, 0.0, np.zeros(len(labels))), _of_mean(labels)
    smoother = loo.of_kernel(np.sum(used, axis=0), ones)
    tuned = loo.tune(smoother, labels[:, None])
    along = smoother.vectors.T @ (labels - labels.mean())
    return Fit(
        weights, tuned.penalty, smoother.vectors @ (along / (smoother.values + tuned.penalty * smoother.level))
    ), tuned


def _together(kernels: dict[str, np.ndarray], labels: np.ndarray) -> tuple[dict[str, tuple[Fit, loo.Tuned]], Fit]:
    """Each kernel alone, fitted and held out, and their sum at the weights that follow."""
    alone = {name: _fitted({name: kernel}, {name: 1.0}, labels) for name, kernel in kernels.items()}
    weights = _weights({name: one[1] for name, one in alone.items()}, labels)
    return alone, _fitted(kernels, weights, labels)[0]


def _of_mean(labels: np.ndarray) -> loo.Tuned:
    return loo.unpenalised(np.ones((len(labels), 1)), labels[:, None])


def _weights(tuned: dict[str, loo.Tuned], labels: np.ndarray) -> dict[str, float]:
    """(R²/(1 - R²))² of each representation, as shares."""
    power = np.mean(_of_mean(labels).row_errors)
    shares = {name: min(max(1 - np.mean(one.row_errors) / power, 0.0), _MOST) for name, one in tuned.items()}
    odds = {name: (share / (1 - share)) ** 2 for name, share in shares.items()}
    total = sum(odds.values())
    return {name: float(one / total) if total > 0 else 0.0 for name, one in odds.items()}


def _held_out(grams: dict[str, np.ndarray], labels: np.ndarray, seed: int) -> np.ndarray:
    """Residuals (n,) of "together", everything about it found without the part of the rows that is predicted."""
    count = len(labels)
    parts = np.random.default_rng([seed, 5]).permutation(count) % min(count, max(5, _FOLD_WORK // count))
    out = np.empty(count)
    for part in range(parts.max() + 1):
        train, test = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        both = {name: _centred(gram, train, test) for name, gram in grams.items()}
        _, fit = _together({name: one[0] for name, one in both.items()}, labels[train])
        cross = np.sum([fit.weights[name] * one[1] for name, one in both.items()], axis=0)
        out[test] = labels[test] - labels[train].mean() - cross @ fit.dual
    return out


def _unbeaten(rows: dict[str, np.ndarray], tolerance: float, seed: int) -> float:
    """Least share, over the rivals, of resamples in which "together" is within the tolerance of a rival."""
    names = [name for name in rows if np.all(np.isfinite(rows[name]))]
    means = resampled_means(np.stack([rows[name] for name in names], axis=1), seed)
    own = means[:, [names.index(TOGETHER)]]
    return float(np.min(np.mean(own <= (1 + tolerance) * np.maximum(means, 0.0), axis=0)))
