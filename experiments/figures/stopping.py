"""Transferability with both sides stopped at their best: trained networks as cells, theory's boundary over them."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import heat as _heat
from experiments.figures import style as _style


@_style.styled
def diagram(data: xr.Dataset) -> Figure:
    """One panel a protocol; black: theory's boundary, dashed: that of the end of training, points: measured."""
    shown = [str(name) for name in data.protocol.values if name != "scratch"]
    figure, panels = _style.panels(1, len(shown), 4.6, 4.0, sharey=True)
    norm = _heat.signed_norm(*(data.stopped_transferability_mean.sel(protocol=name).values for name in shown))
    ratio = data.sample_ratio.values
    for panel, name in zip(panels[0], shown, strict=True):
        own = data.sel(protocol=name)
        cells = own.stopped_transferability_mean.transpose("theta", "sample_ratio").values
        mesh = _heat.mesh(panel, data.theta.values, ratio, cells, norm)
        field = own.stopped_transferability_field.transpose("sample_ratio", "fine_angle").values
        if min(field.shape) > 1 and np.nanmin(field) < 0 < np.nanmax(field):
            panel.contour(data.fine_angle, data.sample_ratio, field, levels=[0.0], colors="k", linewidths=1.6)
        if name == "fine_tuning":
            _boundary(panel, data)
        panel.set(title=_style.look(name).label, xlabel=r"overlap angle $\theta$")
        _style.pi_ticks(panel.xaxis, float(data.theta.max()))
    panels[0][0].set_ylabel("samples per dimension $n/d$")
    _heat.bar(figure, mesh, panels, "transferability, both sides stopped at their best")
    panels[0][-1].plot([], [], "k-", lw=1.6, label="$T = 0$ in theory")
    _style.legend(figure, *panels[0], ncols=2)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        f"Transferability with both sides stopped at their best time, {data.sizes['instance']} instances "
        f"({data.attrs['title']}). Cells: trained networks; line: where theory puts the change; points: where the "
        "trained "
        "networks break even, with standard errors; dashed: theory at the end of training; dotted: 60 degrees.",
    )


def _boundary(panel, data: xr.Dataset) -> None:
    ratio = data.sample_ratio.values
    panel.errorbar(
        data.break_even_angle, ratio, xerr=data.break_even_angle_standard_error, fmt="o", ms=5, color="k", mfc="w",
        capsize=2, label="trained networks break even",
    )  # fmt: skip
    panel.plot(data.theory_break_even_angle_at_the_end, ratio, "k--", lw=1.2, label="theory at the end of training")
    panel.axvline(np.pi / 3, color="k", lw=0.7, ls=":", label="60 degrees")
