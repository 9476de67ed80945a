"""Double descent of training from scratch, and what weight decay does to it."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from tlx.train import Status


def double_descent(data: xr.Dataset) -> Figure:
    """Risk against n/d, one colour per weight decay: trained networks with standard errors, theory as lines."""
    figure, panel = plt.subplots(figsize=(7, 4.6), layout="constrained")
    decays = data.weight_decay.values
    colours = plt.cm.viridis(np.linspace(0, 0.85, len(decays)))
    finite = data.risk_mean.values[np.isfinite(data.risk_mean.values)]
    top = 1.3 * float(np.percentile(finite, 96)) if finite.size else 1.0
    for decay, colour in zip(decays, colours, strict=True):
        row = data.sel(weight_decay=decay)
        curve = row.theory_curve.values
        panel.plot(data.fine_ratio, np.where(np.isfinite(curve), curve, np.nan), color=colour, lw=1.5)
        short = (row.status == Status.MAX_STEPS).any("instance").values
        for mask, face, label in ((~short, colour, f"weight decay {decay:g}"), (short, "none", None)):
            if mask.any():
                panel.errorbar(
                    row.sample_ratio[mask],
                    row.risk_mean[mask],
                    row.risk_standard_error[mask],
                    fmt="o",
                    ms=5,
                    mfc=face,
                    color=colour,
                    capsize=2,
                    label=label,
                )
    if (data.status == Status.MAX_STEPS).any():
        panel.plot([], [], "o", mfc="none", color="k", label="steps ran out")
    panel.plot(data.fine_ratio, data.optimal_ridge_curve, "k--", lw=1.2, label="best weight decay (theory)")
    panel.set(xlabel="samples per dimension  n / d", ylabel="excess risk", ylim=(0, top))
    panel.legend(fontsize=9)
    panel.set_title(f"training from scratch: {data.attrs['title']}   ({data.sizes['instance']} instances)", fontsize=11)
    return figure
