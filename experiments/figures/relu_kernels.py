"""Learned kernel, loss and overlap over pretraining."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure


def curves(data: xr.Dataset) -> Figure:
    """Loss and kernel alignment over steps, one colour a difficulty; overlap with the target by cut-off."""
    figure, panels = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    steps = np.maximum(data.step.values, 0.5)
    for colour, amount in zip(
        plt.cm.viridis(np.linspace(0, 0.85, data.sizes["amount"])), data.amount.values, strict=True
    ):
        row = data.sel(amount=amount)
        panels[0].plot(steps, np.maximum(row.source_loss_mean, 1e-7), color=colour, label=f"amount {amount:.3g}")
        panels[1].plot(steps, row.alignment_source_mean, color=colour)
        panels[1].plot(steps, row.alignment_target_mean, ":", color=colour)
    panels[0].set(yscale="log", ylabel="E (f − f_s)² / E f_s²", title="population loss on the source")
    panels[0].legend(fontsize=9)
    panels[1].plot([], [], "k-", label="with the source teacher's kernel")
    panels[1].plot([], [], "k:", label="with the target teacher's kernel")
    panels[1].axhline(1, color="0.7", lw=0.8)
    panels[1].set(ylabel="cosine of kernels", title="learned kernel (claim: source → 1)")
    panels[1].legend(fontsize=9)
    middle = data.sizes["amount"] // 2
    for colour, cutoff in zip(
        plt.cm.plasma(np.linspace(0, 0.85, data.sizes["cutoff"])), data.cutoff.values, strict=True
    ):
        row = data.isel(amount=middle).sel(cutoff=cutoff)
        panels[2].plot(steps, row.overlap_mean, color=colour, label=f"cut-off {cutoff:g}")
    panels[2].set(ylabel="|P f_t|² / |f_t|²", title=f"overlap with the target, amount {data.amount.values[middle]:.3g}")
    panels[2].legend(fontsize=9)
    for panel in panels:
        panel.set(xscale="log", xlabel="pretraining step (first point: start)")
    figure.suptitle(f"{data.attrs['title']}   ({data.sizes['instance']} instances)")
    return figure
