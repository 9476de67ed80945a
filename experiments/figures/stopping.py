"""Transferability with both sides stopped at their best: trained networks as cells, theory's boundary over them."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.running import grid as _grid


def diagram(data: xr.Dataset) -> Figure:
    """One panel a protocol; black: theory's boundary, dashed: that of the end of training, points: measured."""
    shown = [str(name) for name in data.protocol.values if name != "scratch"]
    figure, panels = plt.subplots(1, len(shown), figsize=(5.2 * len(shown), 4.8), squeeze=False, layout="constrained")
    norm = _style.signed_norm(*(data.stopped_transferability_mean.sel(protocol=name).values for name in shown))
    theta, ratio = _grid.edges(data.theta.values), _grid.edges(data.sample_ratio.values)
    for panel, name in zip(panels[0], shown, strict=True):
        own = data.sel(protocol=name)
        cells = own.stopped_transferability_mean.transpose("sample_ratio", "theta").values
        mesh = panel.pcolormesh(theta, ratio, cells, norm=norm, cmap=_style.DIVERGING, rasterized=True)
        field = own.stopped_transferability_field.transpose("sample_ratio", "fine_angle").values
        if min(field.shape) > 1 and np.nanmin(field) < 0 < np.nanmax(field):
            panel.contour(data.fine_angle, data.sample_ratio, field, levels=[0.0], colors="k", linewidths=1.6)
        if name == "fine_tuning":
            _boundary(panel, data)
        panel.set(title=_style.LABELS[name], xlabel="overlap angle θ", xlim=(theta[0], theta[-1]))
        panel.set_ylim(ratio[0], ratio[-1])
        _style.pi_ticks(panel.xaxis, float(data.theta.max()))
    panels[0][0].set_ylabel("samples per dimension  n / d")
    figure.colorbar(mesh, ax=panels, label="transferability, both sides stopped at their best", shrink=0.9)
    panels[0][-1].plot([], [], "k-", lw=1.6, label="theory: T = 0")
    panels[0][-1].legend(loc="upper left", fontsize=8.5, frameon=True, framealpha=0.85)
    figure.suptitle(f"{data.attrs['title']}   ({data.sizes['instance']} instances)")
    return figure


def _boundary(panel, data: xr.Dataset) -> None:
    ratio = data.sample_ratio.values
    panel.errorbar(
        data.break_even_angle, ratio, xerr=data.break_even_angle_standard_error, fmt="o", ms=5, color="k", mfc="w",
        capsize=2, label="trained networks break even",
    )  # fmt: skip
    panel.plot(data.theory_break_even_angle_at_the_end, ratio, "k--", lw=1.2, label="theory at the end of training")
    panel.axvline(np.pi / 3, color="k", lw=0.7, ls=":", label="60 degrees")
