"""Risk over training time, cell by cell."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures import style as _style

COLUMNS, ROWS = 4, 2  # at most, spread over the ratios and angles of the grid


@_style.styled
def curves(data: xr.Dataset) -> Figure:
    """One row an angle, one column a sample ratio: means with their standard errors, exact ends, best times."""
    rows, columns = _style.spread(data.sizes["theta"], ROWS), _style.spread(data.sizes["sample_ratio"], COLUMNS)
    figure, panels = _style.panels(len(rows), len(columns), 3.3, 3.0, sharex=True, sharey="row")
    for row, i in zip(panels, rows, strict=True):
        for panel, j in zip(row, columns, strict=True):
            one = data.isel(theta=i, sample_ratio=j)
            for method in data.protocol.values:
                _curve(panel, one.sel(protocol=method), str(method))
        row[0].set(ylim=(0, 1.1 * _top(data.isel(theta=i, sample_ratio=columns))))
        row[0].set_ylabel(f"excess risk $R$ at {_style.angle(data.theta.values[i])}")
    for panel, j in zip(panels[0], columns, strict=True):
        panel.set_title(f"$n/d$ = {data.sample_ratio.values[j]:.3g}")
    for panel in panels[-1]:
        panel.set(xscale="log", xlabel="training time $t$")
    looks = [_style.look(str(name)) for name in data.protocol.values]
    handles = [Line2D([], [], color=look.colour, marker=look.marker, ms=5, label=look.label) for look in looks]
    handles.append(Line2D([], [], color="k", ls=":", lw=1, label="exact form of the end"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if figure.get_size_inches()[0] > 9 else 2)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Excess risk over training time (step size times steps). Lines: trained networks, mean of "
        f"{data.sizes['instance']} instances ({data.attrs['title']}); bands: standard errors; the marker is the best "
        "time to stop. Dotted: exact form of the end of training. Beyond the paper, which has the end alone.",
    )


def _top(cells: xr.Dataset) -> float:
    """Above everything but the peaks of the cells at the pole."""
    values = cells.risk_over_time_mean.where(np.abs(cells.sample_ratio - 1) > 0.05)
    whole = values if bool(np.isfinite(values).any()) else cells.risk_over_time_mean
    return float(whole.max()) if bool(np.isfinite(whole).any()) else 1.0


def _curve(panel: Axes, one: xr.Dataset, method: str) -> None:
    look, time = _style.look(method), one.time.values
    mean, error = one.risk_over_time_mean.values, one.risk_over_time_standard_error.values
    panel.plot(time, mean, color=look.colour)
    panel.fill_between(time, mean - error, mean + error, color=look.colour, alpha=0.25, lw=0)
    end = float(one.theory)
    if np.isfinite(end):
        panel.axhline(end, color=look.colour, ls=":", lw=1)
    if np.isfinite(mean).any():
        at = float(one.best_time)
        height = float(one.risk_over_time_mean.sel(time=at))
        panel.plot(at, height, look.marker, color=look.colour, ms=7, mec="w", mew=0.8, zorder=4, clip_on=False)
