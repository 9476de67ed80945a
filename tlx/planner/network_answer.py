"""What `plan_network` answers: a frozen record that prints itself as a table and carries what a drawing needs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tlx.planner import _table

_TITLES = {
    "null": "null: the mean label",
    "zero_shot": "zero-shot: the network as it is",
    "probe": "probe: ridge on the last layer's inputs",
    "fine_tuning": "fine-tuning (linearised at the pretrained weights)",
    "scratch": "scratch (linearised at untrained weights)",
}


class Curve(NamedTuple):
    """A method's held-out error on the pilot, and its predicted error at each of the plan's `sample_sizes`.

    error, standard_error: mean squared held-out error, summed over outputs, label noise included.
    penalty: the best one, relative to the mean eigenvalue of the kernel.
    value, low, high: median and 95 % interval of the curve; below the pilot's size they rest on interpolation,
        beyond it on the effective-ridge form with an unknown floor.
    """

    error: float
    standard_error: float
    penalty: float
    value: Float[np.ndarray, "sizes"]
    low: Float[np.ndarray, "sizes"]
    high: Float[np.ndarray, "sizes"]


@dataclass(frozen=True)
class NetworkPlan:
    """What a pilot says about a pretrained network. `print` shows it as a table.

    Attributes:
        recommendation: "zero_shot", "probe", "fine_tuning", "scratch", "null" or "undecided", for `num_samples` rows.
        confidence: share of resamples in which the leading method is the best or within the tolerance.
        support: that share for each method.
        leading: the method with the largest share, also when undecided.
        num_samples, num_pilot: rows the advice is for, rows of the pilot.
        sample_sizes: sizes of the curves.
        curves: method -> Curve.
        planned: method -> (value, low, high) of the error at `num_samples`.
        scores: name -> value, of the probe's `num_features` features.
        notes: what the numbers are not.
    """

    recommendation: str
    confidence: float
    support: dict[str, float]
    leading: str
    num_samples: int
    num_pilot: int
    sample_sizes: Float[np.ndarray, "sizes"]
    curves: dict[str, Curve]
    planned: dict[str, tuple[float, float, float]]
    scores: dict[str, float]
    num_features: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        share = f"{100 * self.confidence:.0f} % of resamples"
        if self.recommendation == "undecided":
            head = f"Undecided for n = {self.num_samples:,}: {_TITLES[self.leading]} leads with {share}."
        else:
            head = f"Recommendation for n = {self.num_samples:,}: {_TITLES[self.recommendation]} ({share})."
        rows = []
        for name, curve in self.curves.items():
            value, low, high = self.planned[name]
            measured = f"{_table.number(curve.error)} ± {_table.number(curve.standard_error, 2)}"
            support = f"{100 * self.support[name]:.0f} %"
            rows.append([name, measured, _table.number(value), _table.interval(low, high), support])
        titles = [
            "method",
            f"held out, n = {self.num_pilot}",
            f"at n = {self.num_samples:,}",
            "95 % interval",
            "support",
        ]
        scores = [[name, _table.number(value, 4)] for name, value in self.scores.items()]
        legend = "; ".join(f"{name}: {_TITLES[name].removeprefix(name + ': ')}" for name in self.curves)
        lines = [*_table.sentences([head], ""), "", *_table.table(titles, rows), ""]
        lines += [*_table.sentences([f"{legend}."]), ""]
        lines += _table.table([f"scores of the {self.num_features} probe features", "value"], scores)
        return "\n".join([*lines, "", *_table.sentences(list(self.notes), "")])
