"""Double descent of training from scratch, and what weight decay does to it."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.figures.phase_diagram import RATIO, UNFINISHED, finite, has_short
from tlx.train import Status

MARKS = "os^Dv<>Ph"


@_style.styled
def double_descent(data: xr.Dataset) -> Figure:
    """Risk against n/d, one colour per weight decay: trained networks with standard errors, theory as lines."""
    figure, ((panel,),) = _style.panels(1, 1, 6.8, 4.2)
    decays = data.weight_decay.values
    for i, (decay, colour) in enumerate(zip(decays, _style.shades(len(decays)), strict=True)):
        row = data.sel(weight_decay=decay)
        panel.plot(data.fine_ratio, finite(row.theory_curve), color=colour, lw=1.5)
        short = (row.status == Status.MAX_STEPS).any("instance").values
        at = row.sample_ratio.values, row.risk_mean.values, row.risk_standard_error.values
        style = {"fmt": MARKS[i % len(MARKS)], "ms": 4.5, "capsize": 2, "color": colour}
        panel.errorbar(*(values[~short] for values in at), label=f"weight decay {decay:g}", **style)
        if short.any():
            x, mean, error = (values[short] for values in at)
            _style.unfinished(panel, x, mean, error, colour)
    panel.plot(data.fine_ratio, data.optimal_ridge_curve, "k--", lw=1.2, label="best weight decay (theory)")
    if has_short(data):
        panel.plot([], [], "x", color="k", alpha=0.4, label="steps ran out")
    panel.set(xlabel=RATIO, ylabel=r"excess risk $R$", ylim=(0, _top(data.risk_mean.values)))
    _style.legend(figure, panel, ncols=3)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Excess risk of training from scratch against the samples per dimension. Points: trained networks, mean and "
        f"standard error of {data.sizes['instance']} instances ({data.attrs['title']}). Lines: exact at weight decay "
        "0, with its pole at n = d, and asymptotic beyond; dashed: the best weight decay at each n/d, which has no "
        "peak (Figure 5 of the paper).",
        UNFINISHED if has_short(data) else "",
    )


def _top(means: np.ndarray) -> float:
    """Above all but the points of the peak."""
    known = means[np.isfinite(means)]
    return 1.3 * float(np.percentile(known, 96)) if known.size and known.max() > 0 else 1.0


@_style.styled
def best_decay(data: xr.Dataset) -> Figure:
    """The best weight decay itself against n/d: in theory, and the best of those that were trained."""
    figure, ((panel,),) = _style.panels(1, 1, 6.8, 4.2)
    curve = np.where(data.optimal_weight_decay > 0, data.optimal_weight_decay, np.nan)
    panel.plot(data.fine_ratio, curve, "k-", lw=1.5, label="theory")
    tried = data.weight_decay.values
    several = len(tried) > 1
    if several:
        measured = data.best_weight_decay.values
        panel.plot(
            data.sample_ratio, measured, "o", color=_style.look("scratch").colour, ms=5, label="best of those trained"
        )
        for i, value in enumerate(tried):
            panel.axhline(value, color="0.8", lw=0.7, zorder=0, label="" if i else "trained")
    positive = [*tried[tried > 0], *curve[np.isfinite(curve)]]
    if positive:
        panel.set_yscale("symlog", linthresh=min(positive), linscale=0.4)
        panel.set_ylim(0, 2 * max(positive))
    panel.set(xlabel=RATIO, ylabel="best weight decay")
    _style.legend(figure, panel, ncols=3)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "The weight decay with the least risk against the samples per dimension. Line: that which amounts to the best "
        "ridge σ²/(|β_t|² n/d) at the network's end-to-end norm.",
        f"Points: the best of {len(tried)} weight decays (grey lines), by the mean risk of {data.sizes['instance']} "
        "trained networks."
        if several
        else "",
        f"{data.attrs['title']}. Beyond Figure 5 of the paper, which shows the risk.",
    )
