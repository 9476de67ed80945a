"""Slices of several phase diagrams beside each other."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import phase_diagram as phase
from experiments.figures import style as _style

ROWS = 2  # at most, spread over the angles of the grid
CLIP = 3.0  # times the median panel: a row is not scaled by its wildest variant
NAMES = {
    "noise_std": r"$\sigma$",
    "source_ratio": "$n_s/d$",
    "target_norm": r"$\|\beta_t\|$",
    "source_norm": r"$\|\beta_s\|$",
    "covariance_exponent": "decay $a$",
    "init_scale": r"$\alpha$",
}


@_style.styled
def comparison(data: xr.Dataset) -> Figure:
    """One column a variant, one row an angle: trained networks, exact forms as lines, the published form dotted."""
    rows = _style.spread(data.sizes["theta"], ROWS)
    key = data.attrs["vary"].rpartition(".")[2]
    name = NAMES.get(key, key.replace("_", " "))
    figure, panels = _style.panels(len(rows), data.sizes["variant"], 3.3, 3.0, sharex=True, sharey="row")
    for row, at in zip(panels, rows, strict=True):
        for i, panel in enumerate(row):
            one = data.isel(variant=i, theta=at)
            for method in data.protocol.values:
                phase.one_slice(panel, one.sel(protocol=method), str(method))
            phase.published_line(panel, one)
        tops = [phase.ceiling(data.risk_mean.isel(variant=i, theta=at).values, data.sample_ratio.values)
                for i in range(len(row))]  # fmt: skip
        top = min(max(tops), CLIP * float(np.median(tops)))
        row[0].set(ylim=(0, top), ylabel=f"excess risk $R$ at {_style.angle(data.theta.values[at])}")
    for panel, value in zip(panels[0], data.variant.values, strict=True):
        panel.set_title(f"{name} = {value:g}")
    for panel in panels[-1]:
        panel.set_xlabel("$n/d$" if _style.paper() else phase.RATIO)
    phase.keys(figure, panels[0][0], data)
    _style.heading(figure, data.attrs["title"])
    angles = ", ".join(f"{data.theta.values[at] / np.pi:.3g} π" for at in rows)
    return _style.caption(
        figure,
        f"Excess risk against the target samples per dimension, {key.replace('_', ' ')} varied from left to right, at "
        f"overlap angles {angles} from top to bottom. Points: trained networks, mean and standard error of "
        f"{data.sizes['instance']} instances ({data.attrs['title']}). Lines: exact forms; dotted: fine-tuning as "
        "published. The published form knows neither depth nor norms.",
        phase.UNFINISHED if phase.has_short(data) else "",
    )
