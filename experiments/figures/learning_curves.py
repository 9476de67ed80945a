"""Risk over training time, cell by cell."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

COLUMNS, ROWS = 4, 2  # at most, spread over the ratios and angles of the grid


def curves(data: xr.Dataset) -> Figure:
    """One row an angle, one column a sample ratio: means with standard errors, theory along training, best times."""
    rows, columns = _spread(data.sizes["theta"], ROWS), _spread(data.sizes["sample_ratio"], COLUMNS)
    figure, panels = plt.subplots(
        len(rows),
        len(columns),
        figsize=(3.3 * len(columns) + 0.6, 3.0 * len(rows) + 0.9),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for row, i in zip(panels, rows, strict=True):
        for panel, j in zip(row, columns, strict=True):
            one = data.isel(theta=i, sample_ratio=j)
            for method in data.protocol.values:
                _curve(panel, one.sel(protocol=method), str(method))
            panel.set(xscale="log", ylim=(0, 1.1 * _top(one)))
            panel.set_title(f"θ = {data.theta.values[i] / np.pi:.3g} π,  n/d = {float(one.sample_ratio):.3g}", size=10)
        row[0].set_ylabel("excess risk")
    for panel in panels[-1]:
        panel.set_xlabel("training time t")
    panels[0][0].plot([], [], "k-", lw=1.2, label="theory along training")
    panels[0][0].plot([], [], "k:", lw=1, label="exact form of the end")
    panels[0][0].plot([], [], "kv", ms=6, label="best time to stop, by theory (vertical line: measured)")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.suptitle(f"{data.attrs['title']}   ({data.sizes['instance']} instances; bars: standard errors)")
    return figure


def _spread(count: int, most: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()))


def _top(one: xr.Dataset) -> float:
    values = one.risk_over_time_mean.values
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else 1.0


def _curve(panel, one: xr.Dataset, method: str) -> None:
    colour, time = _style.COLOURS[method], one.time.values
    mean, error = one.risk_over_time_mean.values, one.risk_over_time_standard_error.values
    panel.errorbar(time, mean, error, fmt="o", ms=2.8, lw=0.8, color=colour, label=_style.LABELS[method])
    panel.plot(one.fine_time, one.theory_over_time, "-", color=colour, lw=1.2)
    end, best = float(one.theory), float(one.theory_best_time)
    if np.isfinite(end):
        panel.axhline(end, color=colour, ls=":", lw=1)
    if np.isfinite(best):
        panel.plot(best, float(one.theory_best_risk), "v", color=colour, ms=6, mec="k", mew=0.6, zorder=4)
    if np.isfinite(mean).any():
        panel.axvline(float(one.best_time), color=colour, lw=0.8, alpha=0.5)
