"""Transferability as a surface over angle and sample ratio, and linear transfer against the ridge."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.figures import style as _style

TRANSFERS = ("linear_transfer", "fine_tuning")
CEILING = 1.5  # surfaces are cut here: at n = d training from scratch has a pole


def surfaces(data: xr.Dataset) -> Figure:
    """Theory as a surface, trained networks as points on it, one panel per method."""
    figure = plt.figure(figsize=(13, 6), layout="constrained")
    angle, ratio = np.meshgrid(data.fine_theta, data.fine_ratio, indexing="ij")
    at_angle, at_ratio = np.meshgrid(data.theta, data.sample_ratio, indexing="ij")
    fields = [data.transferability_field.sel(protocol=m).values for m in TRANSFERS]
    norm = _style.signed_norm(*(np.clip(f[np.isfinite(f)], -CEILING, CEILING) for f in fields))
    for place, (method, field) in enumerate(zip(TRANSFERS, fields, strict=True), start=1):
        panel = figure.add_subplot(1, 2, place, projection="3d", computed_zorder=False)
        height = np.clip(np.nan_to_num(field, nan=0.0), -CEILING, CEILING)
        colours = plt.get_cmap(_style.DIVERGING)(norm(height))
        panel.plot_surface(
            angle, ratio, height, facecolors=colours, rcount=60, ccount=80, alpha=0.75, zorder=1, lw=0, shade=False
        )
        measured = data.transferability.sel(protocol=method).values
        inside = np.abs(measured) <= CEILING
        panel.scatter(at_angle[inside], at_ratio[inside], measured[inside], s=5, c="k", depthshade=False, zorder=2)
        panel.set(xlabel="angle θ", ylabel="n / d", zlabel="T", title=_style.LABELS[method])
        _style.pi_ticks(panel.xaxis, float(data.theta.max()))
        for axis in (panel.yaxis, panel.zaxis):
            axis.set_major_locator(MaxNLocator(5))
        panel.view_init(elev=24, azim=-58)
        panel.set_box_aspect((1, 1, 0.8), zoom=0.9)
    figure.suptitle(
        f"transferability T: {data.attrs['title']}   (points: trained networks, {data.sizes['instance']} instances; "
        f"cut at ±{CEILING:g})"
    )
    return figure


def ridges(data: xr.Dataset) -> Figure:
    """Risk of linear transfer against the ridge at the largest sample: no ridge repairs a wrong feature (Thm 3.8)."""
    figure, panel = plt.subplots(figsize=(7, 4.6), layout="constrained")
    last = data.isel(sample_ratio=-1)
    ridge = data.ridge.values
    chosen = sorted({int(np.argmin(np.abs(data.theta.values - a))) for a in (0.2, np.pi / 4, np.pi / 3, np.pi / 2)})
    colours = plt.cm.viridis(np.linspace(0, 0.85, len(chosen)))
    for at, colour in zip(chosen, colours, strict=True):
        mean, error = (last[f"risk_by_ridge_{kind}"].isel(theta=at) for kind in ("mean", "standard_error"))
        label = f"θ = {data.theta.values[at] / np.pi:.3g} π"
        panel.errorbar(ridge, mean, error, fmt="o", ms=5, capsize=2, color=colour, label=label)
        panel.plot(data.fine_ridge, last.ridge_curve.isel(theta=at), "-", color=colour, lw=1.5)
        scratch = last.risk_mean.sel(protocol="scratch").isel(theta=at)
    panel.axhline(float(scratch), color="0.4", ls="--", lw=1.2, label="scratch")
    panel.set_xscale("symlog", linthresh=float(ridge[ridge > 0].min()) if (ridge > 0).any() else 1.0)
    panel.set(xlabel="ridge λ", ylabel="excess risk of linear transfer", ylim=(0, None))
    panel.legend(fontsize=9)
    size = f"n/d = {float(last.sample_ratio):.3g}"
    panel.set_title(f"{data.attrs['title']}, {size}   ({data.sizes['instance']} instances)", fontsize=10)
    return figure
