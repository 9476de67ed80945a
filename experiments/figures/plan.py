"""One page of advice: what the pilot says about the task, and the predicted risk of each method."""

import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.figures import style as _style

SHOWN = {
    "target_norm": "target norm",
    "noise_std": "noise",
    "overlap": "overlap (cosine)",
    "overlap_angle": "overlap angle [rad]",
}


def lines(plan: Any) -> list[str]:
    """The advice in words."""
    out = []
    for key, name in SHOWN.items():
        e = plan.estimates[key]
        out.append(f"{name:20s} {e.value:8.3f}   95 % interval [{e.low:.3f}, {e.high:.3f}]")
    for method, share in plan.support.items():
        out.append(f"{_style.look(method).label:20s} best or within 5 % with confidence {100 * share:.0f} %")
    for change in plan.ranking_changes:
        out.append(
            f"from n = {change.num_samples:.0f} on the best is {_style.look(change.after).label} "
            f"(before, {_style.look(change.before).label})"
        )
    out += list(plan.notes)
    if plan.recommendation == "undecided":
        more = plan.extra_samples
        ask = "no sample size within reach would settle it" if more is None else f"collect about {more} more rows"
        out.append(f"cannot tell: {ask}.")
    return out


@_style.styled
def page(plan: Any, name: str) -> Figure:
    """Risk curves with their bands on the left, the estimates on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=(1.4, 1), layout="constrained")
    tops = []
    for method, curve in plan.risks.items():
        if not np.isfinite(curve.value).any():
            continue
        look = _style.look(method)
        value = np.where(np.isfinite(curve.value), curve.value, np.nan)
        every = max(1, len(value) // 8)
        left.plot(plan.sample_sizes, value, look.marker, ls="-", markevery=every, color=look.colour, label=look.label)
        high = np.where(np.isfinite(curve.high), curve.high, 1e12)
        left.fill_between(plan.sample_sizes, curve.low, high, color=look.colour, alpha=0.15, lw=0)
        tops.append(np.nanmedian(value))
    left.axvline(plan.num_samples, color="k", ls=":", lw=1.2, label=f"$n$ = {plan.num_samples}")
    for change in plan.ranking_changes:
        left.axvline(change.num_samples, color="0.6", lw=0.8)
    left.set(xscale="log", xlabel="labelled target rows $n$", ylabel="predicted excess risk", ylim=(0, 2.5 * max(tops)))
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=4)
    advice = plan.recommendation.replace("_", " ")
    figure.suptitle(f"{name}: {advice} (confidence {100 * plan.confidence:.0f} %)")
    right.axis("off")
    text = "\n".join("\n".join(textwrap.wrap(line, 62, subsequent_indent="    ")) for line in lines(plan))
    right.text(0, 1, text, va="top", family="monospace", fontsize=8.5, transform=right.transAxes)
    return _style.caption(
        figure,
        f"Predicted excess risk of each protocol against the number of labelled rows, with 95 % bands, for {name}. "
        f"Dotted: the {plan.num_samples} rows asked about; grey: where the best protocol changes.",
    )
