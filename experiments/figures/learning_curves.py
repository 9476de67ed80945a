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
    """One row an angle, one column a sample ratio: means with standard errors, theory along training, best times."""
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
    handles.append(Line2D([], [], color="k", lw=1.2, label="theory along training"))
    handles.append(Line2D([], [], color="k", ls=":", lw=1, label="exact form of the end"))
    handles.append(Line2D([], [], color="k", ls="", marker="|", ms=9, label="best time to stop, theory"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if figure.get_size_inches()[0] > 9 else 2)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Excess risk over training time (step size times steps). Points: trained networks, mean of "
        f"{data.sizes['instance']} instances ({data.attrs['title']}), with standard errors; the large one is the best "
        "time to stop. Lines: theory along training, its best time marked; dotted: exact form of the end. Beyond the "
        "paper, which has the end alone.",
    )


def _top(cells: xr.Dataset) -> float:
    """Above everything but the peaks of the cells at the pole."""
    values = cells.risk_over_time_mean.where(np.abs(cells.sample_ratio - 1) > 0.05)
    whole = values if bool(np.isfinite(values).any()) else cells.risk_over_time_mean
    return float(whole.max()) if bool(np.isfinite(whole).any()) else 1.0


def _curve(panel: Axes, one: xr.Dataset, method: str) -> None:
    look, time = _style.look(method), one.time.values
    mean, error = one.risk_over_time_mean.values, one.risk_over_time_standard_error.values
    panel.errorbar(time, mean, error, fmt=look.marker, ms=2.8, lw=0.8, color=look.colour)
    panel.plot(one.fine_time, one.theory_over_time, "-", color=look.colour, lw=1.2)
    end, best = float(one.theory), float(one.theory_best_time)
    if np.isfinite(end):
        panel.axhline(end, color=look.colour, ls=":", lw=1)
    if np.isfinite(best):
        panel.plot(best, float(one.theory_best_risk), "|", color=look.colour, ms=12, mew=1.6, zorder=4)
    if np.isfinite(mean).any():
        at = float(one.best_time)
        height = float(one.risk_over_time_mean.sel(time=at))
        panel.plot(at, height, look.marker, color=look.colour, ms=7, mec="w", mew=0.8, zorder=4, clip_on=False)
