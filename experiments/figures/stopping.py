"""Transferability with both sides stopped at their best: trained networks as cells, theory's boundary over them."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures import heat as _heat
from experiments.figures import style as _style
from experiments.figures.phase_diagram import RATIO


@_style.styled
def diagram(data: xr.Dataset) -> Figure:
    """One panel a protocol; black: theory's boundary, dashed: that of the end of training, points: measured."""
    shown = [str(name) for name in data.protocol.values if name != "scratch"]
    figure, (row,) = _style.panels(1, len(shown), 5.0, 4.2, sharex=True, sharey=True)
    norm = _heat.signed_norm(*(data.stopped_transferability_mean.sel(protocol=name).values for name in shown))
    at = data.theta.values, data.sample_ratio.values
    for panel, name in zip(row, shown, strict=True):
        own = data.sel(protocol=name)
        cells = own.stopped_transferability_mean.transpose("theta", "sample_ratio").values
        mesh = _heat.mesh(panel, *at, cells, norm)
        field = own.stopped_transferability_field.transpose("sample_ratio", "fine_angle").values
        if min(field.shape) > 1 and np.nanmin(field) < 0 < np.nanmax(field):
            panel.contour(data.fine_angle, data.sample_ratio, field, levels=[0.0], colors="k", linewidths=1.6)
        if name == "fine_tuning":
            _boundary(panel, data)
        panel.set(title=_style.look(name).label, xlabel=r"overlap angle $\theta$")
    _style.pi_ticks(row[0].xaxis, float(data.theta.max()))
    ends = [_heat.extents(values) for values in at]
    row[0].set(xlim=(ends[0][0][0], ends[0][1][-1]), ylim=(ends[1][0][0], ends[1][1][-1]), ylabel=RATIO)
    _heat.bar(figure, mesh, row, "$T$, both sides stopped at their best")
    handles = [
        _heat.boundary_key(),
        _heat.boundary_key("$T = 0$ at the end of training", "--"),
        Line2D([], [], ls="", marker="o", mfc="w", mec="k", label="trained networks break even"),
        Line2D([], [], color="k", lw=0.7, ls=":", label="60 degrees"),
        *([_heat.nothing_key()] if _heat.gaps(*at) else []),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if _style.paper() else 3)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Transferability with training from scratch and transfer both stopped at their best times, mean of "
        f"{data.sizes['instance']} instances a cell ({data.attrs['title']}). Line: T = 0 in theory; dashed: that of "
        "the end of training. Points: where trained networks break even, with standard errors. Beyond the paper, which "
        "has the end alone.",
    )


def _boundary(panel: Axes, data: xr.Dataset) -> None:
    ratio = data.sample_ratio.values
    error = data.break_even_angle_standard_error
    panel.errorbar(data.break_even_angle, ratio, xerr=error, fmt="o", ms=5, color="k", mfc="w", capsize=2)
    panel.plot(data.theory_break_even_angle_at_the_end, ratio, "k--", lw=1.2)
    panel.axvline(np.pi / 3, color="k", lw=0.7, ls=":")
