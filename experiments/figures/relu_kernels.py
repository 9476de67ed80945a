"""Learned kernel, loss and overlap over pretraining."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures import style as _style
from experiments.figures.relu_phase_diagram import AXIS

FLOOR = 1e-7  # of the relative loss, in float32


@_style.styled
def curves(data: xr.Dataset) -> Figure:
    """Loss and kernel alignment over steps, one colour a difficulty; overlap with the target by cut-off."""
    figure, (row,) = _style.panels(1, 3, 4.5, 3.9, sharex=True)
    steps = np.maximum(data.step.values, 0.5)
    shades = _style.shades(data.sizes["amount"])
    for colour, amount in zip(shades, data.amount.values, strict=True):
        one = data.sel(amount=amount)
        row[0].plot(steps, np.maximum(one.source_loss_mean, FLOOR), color=colour)
        row[1].plot(steps, one.alignment_source_mean, color=colour)
        row[1].plot(steps, one.alignment_target_mean, ":", color=colour)
    row[0].set(yscale="log", title="loss on the source")
    row[0].set_ylabel(r"$\mathrm{E}(f - f_s)^2 / \mathrm{E} f_s^2$")
    row[1].axhline(1, color="0.7", lw=0.8)
    row[1].set(ylabel="cosine of kernels", title="learned kernel")
    middle = data.sizes["amount"] // 2
    cutoffs = plt.get_cmap("plasma")(np.linspace(0, 0.85, data.sizes["cutoff"]))
    for colour, cutoff in zip(cutoffs, data.cutoff.values, strict=True):
        row[2].plot(steps, data.isel(amount=middle).sel(cutoff=cutoff).overlap_mean, color=colour)
    row[2].set_ylabel(r"$\|P f_t\|^2 / \|f_t\|^2$")
    row[2].set_title(f"overlap with the target, {AXIS[data.attrs['family']]} = {data.amount.values[middle]:.3g}")
    for panel in row:
        panel.set(xscale="log", xlabel="pretraining step")
    name = AXIS[data.attrs["family"]].split()[-1]  # its symbol
    amounts = [_line(c, f"{name} = {a:.3g}") for c, a in zip(shades, data.amount.values, strict=True)]
    teachers = [_line("k", f"with the {who} teacher's", style) for style, who in (("-", "source"), (":", "target"))]
    below = [_line(c, f"cut-off {x:g}") for c, x in zip(cutoffs, data.cutoff.values, strict=True)]
    for panel, handles, columns in zip(row, (amounts, teachers, below), (2, 1, 2), strict=True):
        panel.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        f"Mean-field pretraining, mean of {data.sizes['instance']} instances ({data.attrs['title']}); the first point "
        "is the start. Left: population loss on the source. Middle: cosine of the learned kernel with that of the "
        "source teacher (full; the published claim is 1) and of the target teacher (dotted), one colour a difficulty. "
        "Right: share of the target inside the learned features, by the cut-off of their eigenvalues. Compare Figure 3 "
        "of the paper.",
    )


def _line(colour: Any, label: str, style: str = "-") -> Line2D:
    """A key of a legend."""
    return Line2D([], [], color=colour, ls=style, label=label)
