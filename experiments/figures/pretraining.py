"""Pretraining over time: norm, alignment, singular values, balance."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import style as _style

TRAINED, MOST = _style.look("fine_tuning").colour, 20  # lines drawn at most


@_style.styled
def dynamics(data: xr.Dataset) -> Figure:
    """Four panels over training time; thin lines are instances, dashed the closed form."""
    figure, panels = _style.panels(2, 2, 4.8, 3.2, sharex=True)
    time, shown = data.time.values, min(data.sizes["instance"], MOST)
    thin = {"color": TRAINED, "lw": 0.8, "alpha": 0.6}
    for i in range(shown):
        one = data.isel(instance=i)
        panels[0, 0].plot(time, one.norm, label="trained networks", **thin)
        panels[0, 0].plot(time, one.theory_norm, "k--", lw=0.8, label="closed form")
        panels[0, 1].semilogy(time, np.maximum(one.loss, 1e-14), **thin)
        panels[0, 1].semilogy(time, np.maximum(one.theory_loss, 1e-14), "k--", lw=0.8)
        panels[1, 0].plot(time, one.alignment, **thin)
    panels[0, 0].set(ylabel=r"$\|\beta\|$", title="end-to-end norm")
    panels[0, 1].set(ylabel=r"$\|\beta - \beta_s\|^2$", title="loss on the source")
    low, high = panels[0, 1].get_ylim()
    panels[0, 1].set_ylim(min(low, high / 30), high)  # a loss that does not move yet is a level line
    panels[1, 0].set(ylabel=r"$\cos(\beta, \beta_s)$", title="alignment with the source", ylim=(-1.05, 1.05))
    _spectra(panels[1, 1], data, time)
    for panel in panels[1]:
        panel.set_xlabel("training time $t$ = steps × step size")
    _style.legend(figure, *panels.ravel(), ncols=2 if _style.paper() else 4)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        f"How features form in pretraining ({data.attrs['title']}). Thin lines: {shown} of {data.sizes['instance']} "
        "trained networks; dashed: closed form of gradient flow (Theorem 3.4). Bottom right: mean first and second "
        "singular value of every layer, and how far neighbouring layers are from balance.",
    )


def _spectra(panel: Axes, data: xr.Dataset, time: np.ndarray) -> None:
    for layer, colour in zip(data.layer.values, _style.shades(data.sizes["layer"]), strict=True):
        first = data.singular_value_mean.sel(layer=layer)
        panel.semilogy(time, first, color=colour, label=f"layer {layer}, first")
        second = data.second_singular_value_mean.sel(layer=layer)
        if float(second.max()) > 0:
            panel.semilogy(time, second, ":", color=colour, label=f"layer {layer}, second")
    if float(data.imbalance_mean.max()) > 0:
        panel.semilogy(time, data.imbalance_mean, "--", color="0.4", label="imbalance of layers")
    panel.set(ylabel="size", title="singular values and imbalance")
