"""Slices of several phase diagrams beside each other."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import phase_diagram as phase
from experiments.figures import style as _style

ROWS = 2  # at most, spread over the angles of the grid


def comparison(data: xr.Dataset) -> Figure:
    """One column a variant, one row an angle: trained networks, exact forms as lines, the published form dotted."""
    count = data.sizes["variant"]
    rows = sorted(
        set(np.linspace(0, data.sizes["theta"] - 1, min(ROWS, data.sizes["theta"])).round().astype(int).tolist())
    )
    figure, panels = plt.subplots(
        len(rows),
        count,
        figsize=(3.4 * count + 0.8, 3.2 * len(rows) + 0.6),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    name = data.attrs["vary"].rpartition(".")[2]
    for row, at in zip(panels, rows, strict=True):
        for i, panel in enumerate(row):
            one = data.isel(variant=i, theta=at)
            for method in data.protocol.values:
                phase.one_slice(panel, one.sel(protocol=method), str(method))
            published = phase.finite(one.theory_published_curve.sel(protocol="fine_tuning"))
            panel.plot(data.fine_ratio, published, ":", color=_style.COLOURS["fine_tuning"], label="published form")
            panel.set_ylim(0, phase.ceiling(one.risk_mean.values, data.sample_ratio.values))
            panel.set_title(
                f"{name} = {data.variant.values[i]:g},  θ = {data.theta.values[at] / np.pi:.3g} π", fontsize=10
            )
        row[0].set_ylabel("excess risk")
    for panel in panels[-1]:
        panel.set_xlabel("samples per dimension  n / d")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle(f"{name} varied; {data.attrs['title']}   ({data.sizes['instance']} instances; lines: exact forms)")
    return figure
