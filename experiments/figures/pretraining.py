"""Pretraining over time: norm, alignment, singular values, balance."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure


def dynamics(data: xr.Dataset) -> Figure:
    """Four panels over training time; thin lines are instances, dashed the closed form."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
    time = data.time.values
    for i in range(min(data.sizes["instance"], 20)):
        one = data.isel(instance=i)
        panels[0, 0].plot(time, one.norm, color="#2f6fb0", lw=0.8, alpha=0.6)
        panels[0, 0].plot(time, one.theory_norm, "k--", lw=0.8)
        panels[0, 1].semilogy(time, np.maximum(one.loss, 1e-14), color="#2f6fb0", lw=0.8, alpha=0.6)
        panels[0, 1].semilogy(time, np.maximum(one.theory_loss, 1e-14), "k--", lw=0.8)
        panels[1, 0].plot(time, one.alignment, color="#55a868", lw=0.8, alpha=0.6)
    panels[0, 0].plot([], [], "k--", label="closed form")
    panels[0, 0].plot([], [], color="#2f6fb0", label="trained networks")
    panels[0, 0].set(ylabel="end-to-end norm |β|")
    panels[0, 0].legend()
    panels[0, 1].set(ylabel="source loss |β − β_s|²")
    panels[1, 0].set(
        ylabel="alignment with the source, cos", xlabel="training time  t = steps × step size", ylim=(-0.4, 1.05)
    )
    for layer, colour in zip(data.layer.values, plt.cm.viridis(np.linspace(0, 0.8, data.sizes["layer"])), strict=True):
        panels[1, 1].semilogy(
            time, data.singular_value_mean.sel(layer=layer), color=colour, label=f"layer {layer}, first"
        )
        second = data.second_singular_value_mean.sel(layer=layer)
        if float(second.max()) > 0:
            panels[1, 1].semilogy(time, second, ":", color=colour, label=f"layer {layer}, second")
    imbalance = data.imbalance_mean
    if float(imbalance.max()) > 0:
        panels[1, 1].semilogy(time, imbalance, "--", color="0.4", label="imbalance |D|")
    panels[1, 1].set(ylabel="singular values, imbalance", xlabel="training time")
    panels[1, 1].legend(fontsize=8)
    figure.suptitle(f"pretraining: {data.attrs['title']}   ({data.sizes['instance']} instances)")
    return figure
