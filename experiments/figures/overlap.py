"""Risk of transfer against 1 - overlap, all pairs in one plane."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures import style as _style
from experiments.nonlinear.setting import ACTIVATIONS

SHOWN = ("linear_transfer", "fine_tuning", "lp_ft")
MARKS = ("o", "s", "^", "D")
COLOURS = [look.colour for look in _style.LOOKS.values()]


@_style.styled
def scatter(data: xr.Dataset) -> Figure:
    """One panel a protocol; colour: network, mark: family, line: the common fit."""
    figure, (row,) = _style.panels(1, 3, 4.1, 3.9, sharex=True, sharey=True)
    networks, families = list(map(str, data.network.values)), list(map(str, data.family.values))
    for panel, method in zip(row, SHOWN, strict=True):
        for i, colour in enumerate(COLOURS[: len(networks)]):
            for j, mark in enumerate(MARKS[: len(families)]):
                own = data.isel(network=i, family=j)
                risk = own.risk.sel(protocol=method).values.ravel()
                panel.plot(own.out_of_space.values.ravel(), risk, mark, ms=4, color=colour, alpha=0.7)
        slope, offset, explained = data.attrs[f"line_{method}"]
        ends = np.array([0.0, float(data.out_of_space.max())])
        panel.plot(ends, slope * ends + offset, "k-", lw=1)
        panel.set_title(f"{_style.look(method).label}: {100 * explained:.0f} % explained")
        panel.set_xlabel(r"1 − overlap, $\|P_\perp f_t\|^2 / \|f_t\|^2$")
    row[0].set_ylabel(r"excess risk / $\mathrm{E}\, f_t^2$")
    handles = [
        Line2D([], [], ls="", marker="o", color=c, label=_name(n)) for c, n in zip(COLOURS, networks, strict=False)
    ]
    handles += [Line2D([], [], ls="", marker=m, color="0.4", label=n) for m, n in zip(MARKS, families, strict=False)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if _style.paper() else 4)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Excess risk of transfer against the share of the target outside the learned feature space, one point a "
        f"trained pair ({data.sizes['instance']} instances, {data.sizes['fraction']} difficulties; "
        f"{data.attrs['title']}). Colour: network (scaling, layers, activation); mark: family. Line: one least-squares "
        "line through all pairs, and the share of the variance it explains. Tests a claim of the paper's Section 4.",
    )


def _name(network: str) -> str:
    """A network's name as one reads it: mean_field-2-relu is a mean-field ReLU network of two layers."""
    if network.count("-") != 2:  # a network of the user's own
        return network
    scaling, depth, activation = network.split("-")
    return f"{scaling.replace('_', '-')}, {depth} layers, {ACTIVATIONS.get(activation, activation)}"
