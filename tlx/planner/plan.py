"""Advice before a training run: from a small labelled target sample and what was pretrained, which way to use them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from tlx._checks import check_count, check_range, require
from tlx.planner import _pilot
from tlx.planner.estimates import Estimate, TaskDraws, summarise, task_draws
from tlx.planner.predictions import METHODS, Learner, RankingChange, predicted_risks, ranking_changes, support
from tlx.planner.recommendation import choose, extra_samples

_CURVE_POINTS = 48
_CURVE_DRAWS = 400


@dataclass(frozen=True)
class RiskCurve:
    """Predicted mean excess risk at each of the plan's `sample_sizes`, with the interval that the pilot leaves."""

    value: Float[np.ndarray, "sizes"]
    low: Float[np.ndarray, "sizes"]
    high: Float[np.ndarray, "sizes"]


@dataclass(frozen=True)
class Plan:
    """What the pilot sample supports.

    Attributes:
        recommendation: "scratch", "linear_transfer", "fine_tuning" or "undecided", for training on `num_samples` rows.
        confidence: share of the confidence distribution for which the leading method is best or within the tolerance.
        support: that share for each method.
        leading: the method with the largest share, also when undecided.
        extra_samples: if undecided, about how many more labelled rows would settle it; None if decided or out of reach.
        num_samples: rows to train on that the recommendation is for.
        estimates: target_norm, target_norm_squared, noise_std, noise_variance, signal_along_source, overlap
            (cosine), overlap_angle (radians), each with its interval; norms are standard deviations of predictions.
        sample_sizes: sizes at which `risks` are given.
        risks: method -> RiskCurve. Fine-tuning is NaN without a pretrained predictor.
        ranking_changes: sample sizes at which the best method changes, at the estimated task.
        notes: the assumptions made, and what looked wrong with them.
    """

    recommendation: str
    confidence: float
    support: dict[str, float]
    leading: str
    extra_samples: int | None
    num_samples: int
    estimates: dict[str, Estimate]
    sample_sizes: Float[np.ndarray, "sizes"]
    risks: dict[str, RiskCurve]
    ranking_changes: tuple[RankingChange, ...]
    notes: tuple[str, ...]


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
    depth: float = 2,
    tolerance: float = 0.05,
    confidence: float = 0.9,
    coverage: float = 0.95,
    seed: int = 0,
) -> Plan:
    """Estimate norm, noise and overlap from a pilot sample, predict the risk of each method, and advise.

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
        depth: layers of the network to be trained, for fine-tuning.
        tolerance: a method within this relative distance of the best risk is as good as the best.
        confidence: least share of the confidence distribution that must support a method before it is recommended.
        coverage: of the intervals.
        seed: of the simulation behind the intervals; the answer is a function of the arguments.

    Returns:
        A `Plan`. Risks are excess risks over the label noise; what is not linear in the inputs counts as noise.

    Valid for Gaussian (or otherwise rotation-invariant) inputs after whitening, linear networks trained to
    convergence from a small start, on inputs in the same whitened coordinates. Noise is constant and Gaussian.
    Sources: Theorems 3.5-3.9 for the risks; the intervals are this library's own (see `tlx.planner.components`).
    """
    check_range("tolerance", tolerance, 0.0, 10.0)
    check_range("confidence", confidence, 0.5, 1.0, remedy="It is a share of the draws.")
    check_range("coverage", coverage, 0.5, 0.999)
    if num_samples is not None:
        check_count("num_samples", num_samples)
    pilot = _pilot.prepare(inputs, labels, source, features, covariance, further_inputs, center)
    count, dim = pilot.inputs.shape
    norm = np.nan if pilot.source is None else float(np.linalg.norm(pilot.source))
    learner = Learner(dim, norm, depth, 1 if pilot.features is None else pilot.features.shape[1])
    planned = count if num_samples is None else num_samples
    task = task_draws(pilot, seed)
    shares = support(predicted_risks(task, np.array([planned], dtype=float), learner), tolerance)[:, 0]
    recommendation, share = choose(shares, confidence)
    extra = None
    if recommendation == "undecided":
        limits = {"tolerance": tolerance, "confidence": confidence, "seed": seed}
        extra = extra_samples(task, count, num_samples, learner, **limits)
    sizes = _sizes(sample_sizes, count, dim, planned)
    curves, changes = _curves(task, sizes, learner, coverage)
    return Plan(
        recommendation, share, dict(zip(METHODS, map(float, shares), strict=True)), METHODS[int(np.argmax(shares))],
        extra, planned, summarise(task, pilot, coverage), sizes, curves, changes, pilot.notes,
    )  # fmt: skip


def _sizes(sample_sizes, count: int, dim: int, planned: int) -> np.ndarray:
    if sample_sizes is not None:
        sizes = np.sort(_pilot.vector("sample_sizes", sample_sizes))
        require(
            len(sizes) > 0 and sizes[0] >= 1, "sample_sizes must be numbers of rows, at least one of them, each >= 1."
        )
        return sizes
    top = max(2 * planned, 2 * count, 3 * dim, 10)
    return np.unique(np.round(np.geomspace(3, top, _CURVE_POINTS)))


def _curves(task: TaskDraws, sizes, learner: Learner, coverage: float):
    """Risk curves (at the median task, with bands from draws) and the changes of ranking."""
    centre = TaskDraws(*(np.median(part, keepdims=True) for part in task))
    middle = predicted_risks(centre, sizes, learner)[:, 0]
    some = predicted_risks(TaskDraws(*(part[:_CURVE_DRAWS] for part in task)), sizes, learner)
    tail = (1 - coverage) / 2
    low, high = np.quantile(some, [tail, 1 - tail], axis=1, method="inverted_cdf")
    curves = {name: RiskCurve(middle[i], low[i], high[i]) for i, name in enumerate(METHODS)}
    return curves, ranking_changes(centre, learner, sizes)
