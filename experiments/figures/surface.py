"""Transferability as a surface over angle and sample ratio, and linear transfer against the ridge."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from experiments.figures import heat as _heat
from experiments.figures import style as _style

TRANSFERS = ("linear_transfer", "fine_tuning")
CEILING = 1.5  # surfaces are cut here: at n = d training from scratch has a pole
ANGLES = (0.2, np.pi / 4, np.pi / 3, np.pi / 2)


@_style.styled
def surfaces(data: xr.Dataset) -> Figure:
    """Theory as a surface, trained networks as points on it, one panel per protocol."""
    figure = plt.figure(figsize=_style.size(12, 5.6), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.3, wspace=0.08)
    angle, ratio = np.meshgrid(data.fine_theta, data.fine_ratio, indexing="ij")
    at_angle, at_ratio = np.meshgrid(data.theta, data.sample_ratio, indexing="ij")
    norm = _heat.signed_norm(*(data.transferability.sel(protocol=m).values for m in TRANSFERS))
    for place, method in enumerate(TRANSFERS, start=1):
        panel = figure.add_subplot(1, 2, place, projection="3d", computed_zorder=False)
        field = data.transferability_field.sel(protocol=method).values
        height = np.clip(np.nan_to_num(field, nan=0.0), -CEILING, CEILING)
        colours = plt.get_cmap(_style.DIVERGING)(norm(height))
        panel.plot_surface(
            angle, ratio, height, facecolors=colours, rcount=60, ccount=80, alpha=0.75, zorder=1, lw=0, shade=False
        )
        panel.plot_wireframe(angle, ratio, height, rcount=12, ccount=12, color="0.5", lw=0.4, zorder=1.5)
        measured = data.transferability.sel(protocol=method).values
        inside = np.abs(measured) <= CEILING
        panel.scatter(at_angle[inside], at_ratio[inside], measured[inside], s=5, c="k", depthshade=False, zorder=2)
        panel.set(xlabel=r"overlap angle $\theta$", ylabel="$n/d$", zlabel="$T$", zlim=(-CEILING, CEILING))
        panel.xaxis.labelpad = 8
        panel.set_title(_style.look(method).label, y=0.98)
        _style.pi_ticks(panel.xaxis, float(data.theta.max()))
        for axis in (panel.yaxis, panel.zaxis):
            axis.set_major_locator(MaxNLocator(5))
        panel.view_init(elev=24, azim=-58)
        panel.set_box_aspect((1, 1, 0.75), zoom=0.92)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Transferability T as a surface over the overlap angle and the samples per dimension. Surface: exact form, red "
        f"where transfer helps. Points: trained networks, mean of {data.sizes['instance']} instances "
        f"({data.attrs['title']}). Cut at T = ±{CEILING:g}: at n = d training from scratch has a pole. Compare the "
        "surfaces of Figures 1 and 2 of the paper.",
    )


@_style.styled
def ridges(data: xr.Dataset) -> Figure:
    """Risk of linear transfer against the ridge at the largest sample: no ridge repairs a wrong feature (Thm 3.8)."""
    figure, ((panel,),) = _style.panels(1, 1, 6.8, 4.0)
    last, ridge = data.isel(sample_ratio=-1), data.ridge.values
    chosen = sorted({int(np.argmin(np.abs(data.theta.values - a))) for a in ANGLES})
    for at, colour, mark in zip(chosen, _style.shades(len(chosen)), "osD^", strict=False):
        mean, error = (last[f"risk_by_ridge_{kind}"].isel(theta=at) for kind in ("mean", "standard_error"))
        label = _style.angle(data.theta.values[at])
        bars = panel.errorbar(ridge, mean, error, fmt=mark, ms=5, capsize=2, color=colour, label=label, zorder=3)
        for part in (bars[0], *bars[1], *bars[2]):  # the point at 0 is whole
            part.set_clip_on(False)
        panel.plot(data.fine_ridge, last.ridge_curve.isel(theta=at), "-", color=colour, lw=1.5)
    scratch = float(last.risk_mean.sel(protocol="scratch").isel(theta=chosen[-1]))
    panel.axhline(scratch, color=_style.look("scratch").colour, ls="--", lw=1.2, label="scratch, no ridge")
    _from_zero(panel, ridge)
    panel.set(xlabel=r"ridge $\lambda$", ylabel="excess risk of linear transfer", ylim=(0, None))
    _style.legend(figure, panel, ncols=3)
    size = f"n/d = {float(last.sample_ratio):.3g}"
    _style.heading(figure, f"{data.attrs['title']}, {size}")
    return _style.caption(
        figure,
        f"Excess risk of linear transfer against its ridge at {size}. Points: trained networks, mean and standard "
        f"error of {data.sizes['instance']} instances ({data.attrs['title']}). Lines: closed form; dashed: trained "
        "from scratch. No ridge repairs a wrong feature (Theorem 3.8).",
    )


def _from_zero(panel, ridge: np.ndarray) -> None:
    """An axis that begins at 0, linear up to the first ridge and logarithmic beyond."""
    positive = ridge[ridge > 0]
    if not positive.size:
        panel.set(xlim=(0, 1), xticks=[0])
        return
    first, last = float(positive.min()), float(positive.max())
    if last > 8 * first:
        panel.set_xscale("symlog", linthresh=first, linscale=0.6)
        decades = 10.0 ** np.arange(np.ceil(np.log10(first) - 1e-9), np.floor(np.log10(last) + 1e-9) + 1)
        panel.set_xticks([0.0, *decades], ["0", *(f"{d:g}" for d in decades)])
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(0, last * 1.05)
