"""Risk of transfer against 1 - overlap, all pairs in one plane."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

SHOWN = ("linear_transfer", "fine_tuning", "lp_ft")
MARKS = ("o", "s", "^", "D")


def scatter(data: xr.Dataset) -> Figure:
    """One panel a method; colour: network, mark: family, line: the common fit."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.6), sharex=True, layout="constrained")
    colours = plt.cm.tab10(np.arange(data.sizes["network"]) % 10)
    for panel, method in zip(panels, SHOWN, strict=True):
        for i, colour in enumerate(colours):
            for j in range(data.sizes["family"]):
                own = data.isel(network=i, family=j)
                risk = own.risk.sel(protocol=method).values.ravel()
                panel.plot(own.out_of_space.values.ravel(), risk, MARKS[j % 4], ms=4, color=colour, alpha=0.7)
        slope, offset, explained = data.attrs[f"line_{method}"]
        ends = np.array([0.0, float(data.out_of_space.max())])
        panel.plot(ends, slope * ends + offset, "k-", lw=1)
        panel.set_title(f"{_style.LABELS[method]}: one line explains {100 * explained:.0f} %")
        panel.set_xlabel("1 − overlap = |P⊥ f_t|² / |f_t|²")
    panels[0].set_ylabel("excess risk / E f_t²")
    for colour, name in zip(colours, data.network.values, strict=True):
        panels[0].plot([], [], "o", color=colour, label=str(name))
    for mark, name in zip(MARKS, data.family.values, strict=False):
        panels[0].plot([], [], mark, color="0.4", label=str(name))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    figure.suptitle(f"{data.attrs['title']}   ({data.sizes['instance']} instances)")
    return figure
