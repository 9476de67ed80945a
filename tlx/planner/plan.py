"""Advice before a training run: from a small labelled target sample and what was pretrained, which way to use them."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Real

from tlx._checks import check_choice, check_count, check_range, require
from tlx.planner import _pilot
from tlx.planner.answer import HeldOut, Plan, RiskCurve
from tlx.planner.assumptions import Check, check_pilot, check_prediction
from tlx.planner.estimates import TaskDraws, summarise, task_draws
from tlx.planner.held_out import bootstrap_support, held_out
from tlx.planner.leave_one_out import Tuned
from tlx.planner.predictions import ALL, METHODS, Learner, predicted_risks, ranking_changes, support
from tlx.planner.recommendation import choose, extra_samples

_CURVE_POINTS = 48
_CURVE_DRAWS = 400
_RULED_OUT = 0.03  # share of support at and below which a method is ruled out
_NOTHING = Check("theory agrees with held-out error", "unseen", "No row can be held out.", "Collect more rows.")
_SAME_SIZE = 1.5  # training sets within this factor of the pilot may be advised on by held-out errors


def plan(
    inputs: Real[np.ndarray, "n d"],
    labels: Real[np.ndarray, "n"],
    *,
    source: Real[np.ndarray, "d"] | None = None,
    features: Real[np.ndarray, "n k"] | None = None,
    num_samples: int | None = None,
    sample_sizes: Real[np.ndarray, "sizes"] | None = None,
    covariance: str | Real[np.ndarray, "d d"] = "auto",
    further_inputs: Real[np.ndarray, "m d"] | None = None,
    center: bool = True,
    depth: float | int = 2,
    tolerance: float = 0.05,
    confidence: float = 0.9,
    coverage: float = 0.95,
    methods: tuple[str, ...] = METHODS,
    seed: int = 0,
) -> Plan:
    """Estimate norm, noise and overlap from a pilot sample, predict the risk of each method, and advise.

    The assumptions are tested on the pilot (`Plan.checks`). If one is broken the advice rests on the pilot's own
    leave-one-out errors instead of theory, and is given only for training sets of about the pilot's size.

    Args:
        inputs: (n, d) pilot inputs, n >= 3.
        labels: (n,) pilot labels.
        source: (d,) the pretrained linear predictor, x -> x . source.
        features: (n, k) the pretrained features at the pilot inputs, k < n - 1, instead of `source`; fine-tuning is
            then not predicted, for features alone fix no predictor to start from.
        num_samples: rows you will train on; None means the pilot itself (and whatever is added to it).
        sample_sizes: sizes for the risk curves; None spans 3 to a few times max(n, d).
        covariance: of the inputs: a (d, d) matrix, "identity", "diagonal" (columns scaled, correlations ignored),
            "estimate" (whitened by the pooled sample covariance, its error ignored), or "auto": "identity" if the
            sample looks isotropic, else "estimate" from 2 d rows on, else "diagonal".
        further_inputs: (m, d) unlabelled inputs, for the covariance.
        center: subtract means (one degree of freedom).
        depth: layers of the network to be trained, for fine-tuning, >= 1.
        tolerance: a method within this relative distance of the best risk is as good as the best.
        confidence: least share of the confidence distribution that must support a method before it is recommended.
        coverage: of the intervals.
        methods: which compete for the recommendation, of scratch, linear_transfer, fine_tuning, ridge_scratch,
            ridge_probe, l2_sp, source_ridge, null and source_as_is; all of them are reported.
        seed: of the simulation behind the intervals; the answer is a function of the arguments.

    Returns:
        A `Plan`. Risks are excess risks over the label noise; what is not linear in the inputs counts as noise.

    Valid for Gaussian (or otherwise rotation-invariant) inputs after whitening, linear networks trained to
    convergence from a small start, on inputs in the same whitened coordinates. Noise is constant and Gaussian.
    Sources: Theorems 3.5-3.9 for the risks; the intervals are this library's own (see `tlx.planner.components`).
    """
    _check_options(tolerance, confidence, coverage, depth, num_samples, methods)
    pilot = _pilot.prepare(inputs, labels, source, features, covariance, further_inputs, center)
    count, learner = len(pilot.labels), _learner(pilot, depth)
    planned = count if num_samples is None else num_samples
    sizes = _sizes(sample_sizes, count, learner.dim, planned)
    found = _studied(pilot, learner, planned, seed)
    limits = {"tolerance": tolerance, "confidence": confidence, "seed": seed}
    said = _verdict(found, methods, planned / count, coverage, **limits)
    ask = said["recommendation"] == "undecided" and not found.broken
    curves = _curves(found.task, sizes, learner, coverage)
    return Plan(
        **said,
        basis="held-out" if found.broken else "theory",
        extra_samples=extra_samples(found.task, count, num_samples, learner, methods, **limits) if ask else None,
        num_samples=planned,
        estimates=summarise(found.task, pilot, coverage),
        sample_sizes=sizes,
        risks={name: curves[name] for name in METHODS},
        other_risks={name: curves[name] for name in ALL if name not in METHODS},
        planned_risks=_planned(found.there, coverage),
        held_out={name: _summed(tuned) for name, tuned in found.measured.items()},
        ranking_changes=ranking_changes(_centre(found.task), learner, sizes, methods),
        checks=found.checks,
        notes=(*pilot.notes, *_notes(found.broken, planned, count)),
    )


class _Found(NamedTuple):
    """What a pilot says before any method is advised."""

    task: TaskDraws
    measured: dict[str, Tuned]  # method -> held-out residuals on the pilot
    there: np.ndarray  # (method, draw) predicted risks at the planned number of rows, in the order of ALL
    checks: tuple[Check, ...]

    @property
    def broken(self) -> bool:
        return any(check.verdict == "broken" for check in self.checks)


def _studied(pilot: _pilot.Pilot, learner: Learner, planned: int, seed: int) -> _Found:
    """The task with its uncertainty, held-out errors, predicted risks, and whether the assumptions hold."""
    task = task_draws(pilot, seed)
    measured = held_out(pilot, learner.depth)
    rows = np.array([len(pilot.labels), planned], dtype=float)
    own, there = predicted_risks(task, rows, learner).transpose(2, 0, 1)
    return _Found(task, measured, there, (*check_pilot(pilot, measured), _contradiction(own, task, measured)))


def _verdict(found: _Found, methods, growth: float, coverage: float, *, tolerance, confidence, seed) -> dict[str, Any]:
    """The fields of `Plan` that advise: from theory where the assumptions hold, else from held-out errors."""
    noise = float(np.quantile(found.task.noise_std, (1 - coverage) / 2)) ** 2

    def shares_of(names: tuple[str, ...]) -> dict[str, float]:
        if found.broken:
            return _held_out_shares(found.measured, names, noise, tolerance, seed)
        near = support(found.there[[ALL.index(name) for name in names], :, None], tolerance)[:, 0]
        return dict(zip(names, map(float, near), strict=True))

    recommendation, leading, share = choose(shares := shares_of(methods), confidence)
    if found.broken and not _may_speak(leading, methods, found.there, found.checks, growth):
        recommendation = "undecided"
    return {
        "recommendation": recommendation,
        "confidence": share,
        "support": shares,
        "leading": leading,
        "ruled_out": _ruled_out(shares, found.there, found.broken),
        "overall": shares_of(ALL),
    }


def _check_options(tolerance, confidence, coverage, depth, num_samples, methods) -> None:
    check_range("tolerance", tolerance, 0.0, 10.0)
    check_range("confidence", confidence, 0.5, 1.0, remedy="It is a share of the draws.")
    check_range("coverage", coverage, 0.5, 0.999)
    check_range("depth", depth, 1.0, 1e6, remedy="Pass at least one layer.")
    if num_samples is not None:
        check_count("num_samples", num_samples)
    require(len(methods) > 0, "methods is empty: name at least one method.")
    for name in methods:
        check_choice("methods", name, ALL)


def _learner(pilot: _pilot.Pilot, depth: float | int) -> Learner:
    norm = np.nan if pilot.source is None else float(np.linalg.norm(pilot.source))
    return Learner(pilot.inputs.shape[1], norm, depth, 1 if pilot.features is None else pilot.features.shape[1])


def _held_out_shares(measured: dict[str, Tuned], names, noise: float, tolerance: float, seed: int) -> dict[str, float]:
    """Shares of bootstrap resamples, 0 for methods that this pilot does not allow."""
    errors = {name: measured[name].row_errors for name in names if name in measured}
    return dict.fromkeys(names, 0.0) | bootstrap_support(errors, noise, tolerance, seed)


def _contradiction(own: np.ndarray, task: TaskDraws, measured: dict[str, Tuned]) -> Check:
    """The method whose held-out error on the pilot is furthest from what theory predicts there."""
    found = []
    for name in ("linear_transfer", "ridge_scratch", "source_ridge"):
        predicted, rows = own[ALL.index(name)] + task.noise_std**2, measured[name].row_errors
        if np.all(np.isfinite(rows)) and np.isfinite(np.median(predicted)):
            found.append(check_prediction(name.replace("_", " "), predicted, rows))
    order = ("broken", "holds", "unseen")
    return min(found, key=lambda check: order.index(check.verdict), default=_NOTHING)


def _may_speak(leading: str, methods, there: np.ndarray, checks: tuple[Check, ...], growth: float) -> bool:
    """With a broken assumption: only at about the pilot's size, and not against a theory that fits the pilot."""
    middle = {name: float(np.median(there[ALL.index(name)])) for name in methods}
    agrees = middle[leading] <= 1.05 * min(value for value in middle.values() if not np.isnan(value))
    contradicted = checks[-1].verdict == "broken"
    return (agrees or contradicted) and 1 / _SAME_SIZE <= growth <= _SAME_SIZE


def _ruled_out(shares: dict[str, float], there: np.ndarray, broken: bool) -> tuple[str, ...]:
    possible = [name for name in shares if np.isfinite(there[ALL.index(name)]).any()]
    return tuple(name for name in possible if shares[name] <= (0.01 if broken else _RULED_OUT))


def _planned(there: np.ndarray, coverage: float) -> dict[str, tuple[float, float, float]]:
    """(median, low, high) of each method's predicted risk at the planned size."""
    tail = (1 - coverage) / 2
    low, middle, high = np.quantile(there, [tail, 0.5, 1 - tail], axis=1, method="inverted_cdf")
    return {name: (float(middle[i]), float(low[i]), float(high[i])) for i, name in enumerate(ALL)}


def _summed(tuned: Tuned) -> HeldOut:
    rows = tuned.row_errors
    return HeldOut(float(np.mean(rows)), float(np.std(rows, ddof=1) / np.sqrt(len(rows))), tuned.penalty)


def _notes(broken: bool, planned: int, count: int) -> tuple[str, ...]:
    if not broken:
        return ("Predicted risks are excess risks over the label noise; held-out errors contain it.",)
    note = "An assumption is broken: predicted risks are those of a task that meets them all; advice rests on held-out."
    if not count / _SAME_SIZE <= planned <= count * _SAME_SIZE:
        note += f" It says nothing about {planned:,} rows: collect a pilot of about that size, or use plan_network."
    return (note,)


def _centre(task: TaskDraws) -> TaskDraws:
    return TaskDraws(*(np.median(part, keepdims=True) for part in task))


def _sizes(sample_sizes, count: int, dim: int, planned: int) -> np.ndarray:
    if sample_sizes is not None:
        sizes = np.sort(_pilot.vector("sample_sizes", sample_sizes))
        require(
            len(sizes) > 0 and sizes[0] >= 1, "sample_sizes must be numbers of rows, at least one of them, each >= 1."
        )
        return sizes
    top = float(max(2 * planned, 2 * count, 3 * dim, 10))
    return np.unique(np.round(np.geomspace(3, top, _CURVE_POINTS)))


def _curves(task: TaskDraws, sizes, learner: Learner, coverage: float) -> dict[str, RiskCurve]:
    """Risk curves at the median task, with bands from draws."""
    middle = predicted_risks(_centre(task), sizes, learner)[:, 0]
    some = predicted_risks(TaskDraws(*(part[:_CURVE_DRAWS] for part in task)), sizes, learner)
    tail = (1 - coverage) / 2
    low, high = np.quantile(some, [tail, 1 - tail], axis=1, method="inverted_cdf")
    return {name: RiskCurve(middle[i], low[i], high[i]) for i, name in enumerate(ALL)}
