"""What the planner assumes, tested on the pilot: what is broken is named with its remedy, what cannot be seen is said.

Each test has a stated false-alarm rate (`LEVEL`, or a threshold in standard deviations), measured by
`python -m benchmarks.planner_false_alarms` together with its power.
"""

from typing import NamedTuple

import numpy as np

from tlx.planner import _evidence as evidence
from tlx.planner._pilot import Pilot
from tlx.planner.leave_one_out import Tuned

LEVEL = 0.003  # false-alarm rate of each test with a p-value
LENGTHS, CORRELATION, CONTRADICTION = 4.0, 6.0, 4.0  # thresholds in standard deviations
_EVEN_SEEN, _TAILS_SEEN = 150, 240  # rows of pure noise: noise in proportion to the signal, t3 noise (measured)
_SEEN = 1.3  # standard deviations beyond the threshold for a power of 90 %


class Check(NamedTuple):
    """One assumption.

    Attributes:
        name: the assumption, in words.
        verdict: "holds", "broken", or "unseen" where this pilot could not show that it is broken.
        finding: one sentence: what was found, or what would have to be there to be seen.
        remedy: what to do if it is broken.
    """

    name: str
    verdict: str
    finding: str
    remedy: str


def check_pilot(pilot: Pilot, held_out: dict[str, Tuned]) -> tuple[Check, ...]:
    """All tests that need no theory, in the order in which they are printed."""
    count, frame = len(pilot.labels), _frame(pilot, held_out)
    checks = [_labels(pilot.labels), _columns(pilot.columns), _lengths(pilot.columns)]
    if pilot.whitening in ("identity", "diagonal"):
        checks.append(_correlation(pilot.columns))
    if pilot.features is not None:
        checks.append(_features(pilot))
    checks.append(_linear(frame, count))
    noisy = _noise_share(held_out, frame, pilot.labels)
    return (*checks, _even(frame, count, noisy), _tails(frame, count, noisy))


def check_prediction(name: str, predicted: np.ndarray, measured: np.ndarray) -> Check:
    """Whether the predicted error of a method (draws of risk plus noise) agrees with its held-out errors (n,)."""
    low, centre, high = map(float, np.quantile(predicted, [0.16, 0.5, 0.84], method="inverted_cdf"))
    spread = (high - low) / 2
    mean, error = float(np.mean(measured)), float(np.std(measured, ddof=1) / np.sqrt(len(measured)))
    z = (mean - centre) / max(np.hypot(spread, error), 1e-300)
    finding = f"{name}: held-out error {mean:.4g} on the pilot, theory expects {centre:.4g} (z = {z:+.1f})."
    verdict = "broken" if abs(z) > CONTRADICTION else "holds" if error < 0.25 * mean else "unseen"
    return Check("theory agrees with held-out error", verdict, finding, "Trust the held-out column, not the theory.")


def _frame(pilot: Pilot, held_out: dict[str, Tuned]) -> evidence.Frame:
    predictions = [pilot.labels - held_out["ridge_scratch"].residuals[:, 0]]
    if pilot.source is not None:
        predictions.append(pilot.inputs @ pilot.source)
    else:
        predictions.append(pilot.labels - held_out["linear_transfer"].residuals[:, 0])
    return evidence.frame(pilot.labels, predictions, np.sum(pilot.inputs**2, axis=1))


def _noise_share(held_out: dict[str, Tuned], frame: evidence.Frame, labels: np.ndarray) -> float:
    """A guess at how much of `rest` is label noise: least squares' residual power where n > d leaves one, else 1/2."""
    error = float(np.mean(held_out["scratch"].row_errors))
    total = (1 - frame.explained) * float(np.var(labels))
    return float(np.clip(error / max(total, 1e-300), 0, 1)) if np.isfinite(error) and error < total else 0.5


def _labels(labels: np.ndarray) -> Check:
    values, count = len(np.unique(labels)), len(labels)
    few = values <= max(2, count // 2)
    finding = f"{values} different values in {count} labels."
    return Check("labels are continuous", "broken" if few else "holds", finding,
                 "For classes use plan_network, or read the held-out column.")  # fmt: skip


def _columns(columns: np.ndarray) -> Check:
    name, remedy = "input columns are distinct and alive", "Remove the column; it weighs on the covariance."
    pair, dead = evidence.duplicates(columns), evidence.dead(columns)
    if pair is not None:
        return Check(name, "broken", f"Columns {pair[0]} and {pair[1]} are the same up to sign and scale.", remedy)
    if dead is not None:
        return Check(name, "broken", f"Column {dead} has one value in at least 95 % of the rows.", remedy)
    return Check(name, "holds", f"No two of {columns.shape[1]} columns repeat each other.", remedy)


def _lengths(columns: np.ndarray) -> Check:
    name, remedy = "inputs have light tails", "Divide each row by its length or transform the inputs; trust held-out."
    count = len(columns)
    if count < 8:
        return Check(name, "unseen", f"{count} rows are too few to judge the lengths of inputs.", remedy)
    z = evidence.unequal_lengths(columns)
    finding = f"Spread of |x| against Gaussian inputs: Z = {z:+.1f} (alarm above {LENGTHS:.0f})."
    visible = 0.25 * evidence.effective_dimension(columns) / 2 * np.sqrt(count / 2) > LENGTHS + _SEEN
    return Check(name, "broken" if z > LENGTHS else "holds" if visible else "unseen", finding, remedy)


def _correlation(columns: np.ndarray) -> Check:
    name, remedy = "inputs are uncorrelated", "Give further_inputs= (unlabelled rows) or covariance=."
    count = len(columns)
    if count < 8:
        return Check(name, "unseen", f"{count} rows are too few to judge the correlations.", remedy)
    z = evidence.correlated(columns / np.maximum(columns.std(0), 1e-300))
    finding = f"Squared correlations exceed chance by {z:+.1f} standard deviations (alarm above {CORRELATION:.0f})."
    verdict = "broken" if z > CORRELATION else "holds" if 0.1 * count > CORRELATION + _SEEN else "unseen"
    return Check(name, verdict, finding, remedy)


def _features(pilot: Pilot) -> Check:
    name, remedy = "features are linear in the inputs", "Use plan_network on the network that makes the features."
    features, inputs, count = pilot.features, pilot.inputs, len(pilot.labels)
    if count > inputs.shape[1] + 1:
        left = features - inputs @ np.linalg.lstsq(inputs, features, rcond=None)[0]
        share = float(np.sum(left**2) / np.sum(features**2))
        if share > 1e-3:
            return Check(name, "broken", f"{100 * share:.0f} % of their power is not linear in the inputs.", remedy)
    p, tried = evidence.not_normal(features)
    finding = f"Skewness and kurtosis of the features: p = {min(p * max(tried, 1), 1):.2g}."
    verdict = "unseen" if tried == 0 else "broken" if p * tried < LEVEL else "holds"
    return Check(name, verdict, finding, remedy)


def _linear(frame: evidence.Frame, count: int) -> Check:
    """Seen if a quadratic part with a quarter of the visible signal's power would be found nine times in ten."""
    name, remedy = "target is linear in the inputs", "Use plan_network, or give inputs in which the target is linear."
    p, tried = evidence.nonlinearity(frame)
    finding = f"Squares and cubes of the predictions explain the rest: p = {min(p * max(tried, 1), 1):.2g}."
    if tried and p * tried < LEVEL:
        return Check(name, "broken", finding, remedy)
    visible = np.sqrt(count) * 0.5 * frame.explained > 3.5 + _SEEN
    if not visible:
        finding = (
            f"{finding} The pilot predicts {100 * frame.explained:.0f} % of the labels: too little to see a curve."
        )
    return Check(name, "holds" if visible else "unseen", finding, remedy)


def _even(frame: evidence.Frame, count: int, noisy: float) -> Check:
    name, remedy = "noise is even", "Transform the labels (logarithm) or weight the rows; trust held-out."
    p, tried = evidence.uneven_noise(frame)
    finding = f"Size of the rest against predictions and lengths: p = {min(p * max(tried, 1), 1):.2g}."
    if tried and p * tried < LEVEL:
        return Check(name, "broken", finding, remedy)
    return Check(name, "holds" if count * noisy**2 >= _EVEN_SEEN else "unseen", finding, remedy)


def _tails(frame: evidence.Frame, count: int, noisy: float) -> Check:
    name, remedy = "noise has light tails", "Look at the rows of largest error; clip or transform the labels."
    p = evidence.heavy_tails(frame)
    finding = f"Kurtosis of the rest: p = {p:.2g}."
    verdict = "broken" if p < LEVEL else "holds" if count * noisy**2 >= _TAILS_SEEN else "unseen"
    return Check(name, verdict, finding, remedy)
