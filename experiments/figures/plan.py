"""A plan as one figure, and as one page that can be sent: nothing is computed here."""

import html
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.running import page as _page

DASHES = {
    **{"ridge_scratch": "--", "ridge_probe": (0, (5, 1)), "l2_sp": "-.", "source_ridge": (0, (1, 1))},
    **{"null": (0, (4, 4)), "source_as_is": (0, (6, 2, 1, 2, 1, 2))},
}
NAMES = {  # where the planner's words are not those of the studies
    "scratch": "linear regression (scratch)",
    "linear_transfer": "probe",
    "source_ridge": "ridge beside the source",
}
VERDICTS = {"broken": "bad", "unseen": "soft", "holds": "good"}


def named(method: str) -> str:
    """A method in words."""
    return NAMES.get(method) or _style.look(method).label


@_style.styled
def page(plan: Any, name: str) -> Figure:
    """Predicted risk against the number of rows, and at the planned number with its interval, method by method."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6.2), width_ratios=(1.35, 1), layout="constrained")
    _curves(left, plan)
    _planned(right, plan)
    found = plan.recommendation
    said = "undecided" if found == "undecided" else named(found)
    basis = "theory" if plan.basis == "theory" else "held-out errors"
    figure.suptitle(f"{name[:60]}: {said} ({100 * plan.confidence:.0f} %, by {basis})")
    return _style.caption(
        figure,
        f"Predicted excess risk of each method against the number of labelled rows (left; bands: intervals; dotted: "
        f"the {plan.num_samples:,} rows asked about), and at that number (right; cross: ruled out), for {name}.",
    )


def _curves(panel: Axes, plan: Any) -> None:
    tops = []
    for method, curve in {**plan.risks, **plan.other_risks}.items():
        value = np.where(np.isfinite(curve.value), curve.value, np.nan)
        if not np.isfinite(value).any():
            continue
        main = method in plan.risks
        line = {"lw": 2.2} if main else {"lw": 1.4, "ls": DASHES[method]}
        panel.plot(plan.sample_sizes, value, color=_style.look(method).colour, label=named(method), **line)
        if main:
            high = np.where(np.isfinite(curve.high), curve.high, 1e12)
            panel.fill_between(plan.sample_sizes, curve.low, high, color=_style.look(method).colour, alpha=0.15, lw=0)
        tops.append(max(float(np.nanmedian(value)), 1e-12))
    panel.axvline(plan.num_samples, color="k", ls=":", lw=1.2)
    asked = [value for value, *_ in plan.planned_risks.values() if np.isfinite(value) and value > 0]
    limits = max(0.3 * min([*tops, *asked]), 1e-5 * max(tops)), 4 * max(tops)
    panel.set(xscale="log", yscale="log", xlabel="labelled target rows n", ylabel="predicted excess risk", ylim=limits)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)


def _planned(panel: Axes, plan: Any) -> None:
    """One row a method: predicted risk at the planned size, its interval, and how well it is supported."""
    rows = [(method, *found) for method, found in plan.planned_risks.items() if np.isfinite(found[0])]
    values = np.maximum([value for _, value, _, _ in rows], 1e-300)
    start, edge = 0.2 * float(np.min(values)), 30 * float(np.max(values))
    for at, (method, value, low, high) in enumerate(rows):
        out, colour = method in plan.ruled_out, _style.look(method).colour
        panel.plot([max(low, start), min(high, 10 * edge)], [at, at], color=colour, lw=4, alpha=0.25 if out else 0.6)
        panel.plot([max(value, start)], [at], "x" if out else "o", color=colour, ms=8)
        share = "ruled out" if out else f"{100 * plan.support.get(method, plan.overall[method]):.0f} %"
        panel.text(0.8 * edge, at, share, va="center", ha="right")
    panel.set_yticks(range(len(rows)), [named(row[0]) for row in rows])
    panel.invert_yaxis()
    panel.set(xscale="log", xlim=(start, edge), xlabel=f"predicted excess risk at n = {plan.num_samples:,}")
    panel.set_title("at the right: how often best, or as good as the best")


def report(plan: Any, name: str, remarks: tuple[str, ...], command: str, picture: Path) -> str:
    """One self-contained page: the advice, the figure, and everything it rests on; all text escaped."""
    text = str(plan)
    head = html.escape(text.split("\n\n")[0]).replace("\n", " ")
    parts = [
        f"<h1>{head}</h1>",
        f'<p class="soft">{_page.text(" ".join([name + ".", *remarks]))}</p>',
        f"<figure>{_page.image(picture, 'predicted risk against rows')}"
        f"<figcaption>{_page.text((page.__doc__ or '').strip())}</figcaption></figure>",
        "<h2>Methods</h2>",
        _methods(plan),
        '<p class="soft">Predicted excess risks over the label noise; held-out errors are of the pilot and contain it.'
        " Support: how often a method is the best or as good as the best.</p>",
        "<h2>The task</h2>",
        _estimates(plan),
        "<h2>Assumptions, tested on the pilot</h2>",
        _checks(plan),
        "<h2>Notes</h2><ul>" + "".join(f"<li>{_page.text(note)}</li>" for note in plan.notes) + "</ul>",
        f"<h2>In full</h2><pre>{_page.text(text)}</pre>",
        f"<p><code>{_page.text(command)}</code></p>",
    ]
    return _page.document(f"Advice for {name}", "\n".join(parts))


def _methods(plan: Any) -> str:
    rows = []
    for method, (value, low, high) in plan.planned_risks.items():
        held = plan.held_out.get(method)
        if held is None and np.isnan(value):
            continue
        share = f"{100 * plan.support[method]:.0f} %" if method in plan.support else ""
        measured = "" if held is None else f"{held.error:.3g} ± {held.standard_error:.2g}"
        verdict = "ruled out" if method in plan.ruled_out else share
        among = f"{100 * plan.overall[method]:.0f} %"
        rows.append((named(method), f"{value:.3g}", f"{low:.3g} to {high:.3g}", measured, verdict, among))
    head = ("method", f"risk at n = {plan.num_samples:,}", "interval", "held-out error", "support", "among all")
    return _page.table(head, rows, range(1, 6))


def _estimates(plan: Any) -> str:
    shown = ("target_norm", "noise_std", "overlap", "overlap_angle")
    found = [(key.replace("_", " "), plan.estimates[key]) for key in shown if key in plan.estimates]
    rows = [(name, f"{e.value:.3g}", f"{e.low:.3g} to {e.high:.3g}") for name, e in found]
    changes = [
        f"From n = {c.num_samples:,} on: {named(c.after)}; below: {named(c.before)}." for c in plan.ranking_changes
    ]
    return _page.table(("", "estimate", "interval"), rows, (1, 2)) + "".join(f"<p>{_page.text(c)}</p>" for c in changes)


def _checks(plan: Any) -> str:
    order = sorted(plan.checks, key=lambda check: list(VERDICTS).index(check.verdict))
    rows = []
    for check in order:
        said = f"{check.finding} {check.remedy}" if check.verdict == "broken" else check.finding
        first = f'<td class="{VERDICTS[check.verdict]}">{check.verdict}</td>'
        rows.append(f"<tr>{first}<td>{_page.text(check.name)}</td><td>{_page.text(said)}</td></tr>")
    return f'<div class="wide"><table><tbody>{"".join(rows)}</tbody></table></div>'
