"""What `plan` answers: a frozen record that prints itself as a table and carries what a drawing needs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tlx.planner import _table
from tlx.planner.assumptions import Check
from tlx.planner.estimates import Estimate
from tlx.planner.predictions import RankingChange

_SHOWN = {
    "target_norm": "target norm",
    "noise_std": "noise (standard deviation)",
    "overlap": "overlap with the source (cosine)",
    "overlap_angle": "overlap angle (radians)",
}
_COLUMNS = (
    "risk: predicted excess risk. support: how often it is best or as good as the best (out: ruled out); all: the same "
    "when tuned methods and references compete too."
)


@dataclass(frozen=True)
class RiskCurve:
    """Predicted mean excess risk at each of the plan's `sample_sizes`, with the interval that the pilot leaves."""

    value: Float[np.ndarray, "sizes"]
    low: Float[np.ndarray, "sizes"]
    high: Float[np.ndarray, "sizes"]


class HeldOut(NamedTuple):
    """Leave-one-out on the pilot: mean squared `error` (label noise included), its standard error, and the penalty.

    `penalty` is relative to the mean eigenvalue of the penalised kernel; 0 for methods without one.
    """

    error: float
    standard_error: float
    penalty: float


@dataclass(frozen=True)
class Plan:
    """What the pilot sample supports. `print` shows it as a table.

    Attributes:
        recommendation: one of the methods asked about, or "undecided", for training on `num_samples` rows.
        confidence: share of the confidence distribution for which the leading method is best or within the tolerance.
        support: that share for each method asked about.
        leading: the method with the largest share, also when undecided.
        basis: "theory", or "held-out" where a broken assumption leaves only the pilot's own leave-one-out errors; the
            shares are then of bootstrap resamples of the rows.
        ruled_out: methods whose share is at most .03 (.01 on held-out errors).
        overall: the shares when all methods compete, tuned ones and references too.
        extra_samples: if undecided, about how many more labelled rows would settle it; None if decided or out of reach.
        num_samples: rows to train on that the recommendation is for.
        estimates: target_norm, target_norm_squared, noise_std, noise_variance, signal_along_source, overlap
            (cosine), overlap_angle (radians), each with its interval; norms are standard deviations of predictions.
        sample_sizes: sizes at which `risks` are given.
        risks: method -> RiskCurve of scratch (linear regression on the inputs, of minimum norm below n = d), linear
            transfer (probe) and fine-tuning (NaN without a pretrained predictor).
        other_risks: the same for the tuned methods (ridge_scratch, ridge_probe, l2_sp, source_ridge) and for what needs
            no training (null, source_as_is).
        planned_risks: method -> (value, low, high) at `num_samples`, all methods.
        held_out: method -> HeldOut on the pilot.
        ranking_changes: sample sizes at which the best method changes, at the estimated task.
        checks: the assumptions tested, each "holds", "broken" or "unseen".
        notes: the assumptions made, and what looked wrong with them.
    """

    recommendation: str
    confidence: float
    support: dict[str, float]
    leading: str
    basis: str
    ruled_out: tuple[str, ...]
    overall: dict[str, float]
    extra_samples: int | None
    num_samples: int
    estimates: dict[str, Estimate]
    sample_sizes: Float[np.ndarray, "sizes"]
    risks: dict[str, RiskCurve]
    other_risks: dict[str, RiskCurve]
    planned_risks: dict[str, tuple[float, float, float]]
    held_out: dict[str, HeldOut]
    ranking_changes: tuple[RankingChange, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def broken(self) -> tuple[Check, ...]:
        """The assumptions that the pilot contradicts."""
        return tuple(check for check in self.checks if check.verdict == "broken")

    @property
    def unseen(self) -> tuple[Check, ...]:
        """The assumptions that a pilot of this size cannot test."""
        return tuple(check for check in self.checks if check.verdict == "unseen")

    def __str__(self) -> str:
        lines = [*_table.sentences([self._headline()], ""), "", *self._methods(), "", *self._task()]
        lines += ["", *_checks(self.checks), "", "Notes", *_table.sentences(list(self.notes))]
        return "\n".join(lines)

    def _headline(self) -> str:
        share = f"{100 * self.confidence:.0f} %"
        how = "of the confidence distribution" if self.basis == "theory" else "of resamples of held-out errors"
        if self.recommendation != "undecided":
            return f"Recommendation for n = {self.num_samples:,}: {_table.TITLES[self.recommendation]} ({share} {how})."
        ask = "no number of rows within reach settles it"
        if self.basis != "theory":
            ask = "held-out errors of the pilot do not settle it"
        if self.extra_samples is not None:
            ask = f"about {self.extra_samples:,} more rows would settle it"
        lead = f"{_table.TITLES[self.leading]} leads with {share} {how}"
        return f"Undecided for n = {self.num_samples:,}: {lead}; {ask}."

    def _methods(self) -> list[str]:
        rows = []
        for name, (value, low, high) in self.planned_risks.items():
            if np.isnan(value) and name not in self.held_out:
                continue
            held = self.held_out.get(name)
            measured = "-" if held is None else f"{_table.number(held.error)} ± {_table.number(held.standard_error, 2)}"
            among = f"{100 * self.support[name]:.0f} %" if name in self.support else ""
            among = "out" if name in self.ruled_out else among
            share = f"{100 * self.overall[name]:.0f} %"
            rows.append([name, _table.number(value), _table.interval(low, high, 2), measured, among, share])
        head = ["method", "risk", "95 % interval", "held-out error", "support", "all"]
        return [*_table.table(head, rows), "", *_table.sentences([_COLUMNS, *_legend(rows)])]

    def _task(self) -> list[str]:
        rows = [
            [title, _table.number(self.estimates[key].value), _table.interval(*self.estimates[key][1:3])]
            for key, title in _SHOWN.items()
            if key in self.estimates
        ]
        changes = [
            f"From n = {c.num_samples:,} on: {_table.TITLES[c.after]}; below: {_table.TITLES[c.before]}."
            for c in self.ranking_changes
        ]
        return [*_table.table(["estimate", "value", "interval"], rows), *_table.sentences(changes, "")]


def _legend(rows: list[list[str]]) -> list[str]:
    """What the names of methods in a table stand for."""
    return ["; ".join(f"{row[0]}: {_table.TITLES[row[0]].removeprefix(row[0] + ': ')}" for row in rows) + "."]


def _checks(checks: tuple[Check, ...]) -> list[str]:
    lines = ["Assumptions tested on the pilot"]
    for check in sorted(checks, key=lambda c: ("broken", "unseen", "holds").index(c.verdict)):
        remedy = f" {check.remedy}" if check.verdict == "broken" else ""
        lines += _table.sentences([f"[{check.verdict:6s}] {check.name}: {check.finding}{remedy}"])
    return lines
