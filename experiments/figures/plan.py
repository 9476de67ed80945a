"""One page of advice: what the pilot says about the task, and the predicted risk of each method."""

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
        out.append(f"{_style.LABELS[method]:20s} best or within 5 % with confidence {100 * share:.0f} %")
    for change in plan.ranking_changes:
        out.append(
            f"from n = {change.num_samples:.0f} on the best is {_style.LABELS[change.after]} "
            f"(before, {_style.LABELS[change.before]})"
        )
    out += list(plan.notes)
    if plan.recommendation == "undecided":
        more = plan.extra_samples
        ask = "no sample size within reach would settle it" if more is None else f"collect about {more} more rows"
        out.append(f"cannot tell: {ask}.")
    return out


def page(plan: Any, name: str) -> Figure:
    """Risk curves with their bands on the left, the estimates on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=(1.5, 1), layout="constrained")
    tops = []
    for method, curve in plan.risks.items():
        if not np.isfinite(curve.value).any():
            continue
        colour = _style.COLOURS[method]
        value = np.where(np.isfinite(curve.value), curve.value, np.nan)
        left.plot(plan.sample_sizes, value, color=colour, lw=2, label=_style.LABELS[method])
        high = np.where(np.isfinite(curve.high), curve.high, 1e12)
        left.fill_between(plan.sample_sizes, curve.low, high, color=colour, alpha=0.15, lw=0)
        tops.append(np.nanmedian(value))
    left.axvline(plan.num_samples, color="k", ls=":", lw=1.2, label=f"n = {plan.num_samples}")
    for change in plan.ranking_changes:
        left.axvline(change.num_samples, color="0.6", lw=0.8)
    left.set(xscale="log", xlabel="labelled target rows n", ylabel="predicted excess risk", ylim=(0, 2.5 * max(tops)))
    left.legend()
    left.set_title(
        f"{name}: recommendation {plan.recommendation.replace('_', ' ')} (confidence {100 * plan.confidence:.0f} %)"
    )
    right.axis("off")
    import textwrap

    text = "\n".join("\n".join(textwrap.wrap(line, 62, subsequent_indent="    ")) for line in lines(plan))
    right.text(0, 1, text, va="top", family="monospace", fontsize=8.5, transform=right.transAxes)
    return figure
