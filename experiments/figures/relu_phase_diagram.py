"""The nonlinear phase diagram: where transfer helps, slices with the fitted power law, and the floor."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.nonlinear.theory import PUBLISHED_EXPONENT
from experiments.running.grid import edges

TRANSFERS = ("linear_transfer", "fine_tuning", "lp_ft")
AXIS = {
    "removal": "removed fraction μ",
    "rotation": "rotation angle θ",
    "mixture": "mixture angle θ",
    "custom": "amount",
}


def diagram(data: xr.Dataset) -> Figure:
    """Measured transferability of three methods; lines: where the fitted scratch curve crosses the prediction."""
    amount, sizes = data.amount.values, data.num_samples.values
    fields = {m: data.transferability.sel(protocol=m).values for m in TRANSFERS}
    norm = _style.signed_norm(*fields.values())
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.8), sharex=True, sharey=True, layout="constrained")
    across, along = edges(amount), np.exp(edges(np.log(sizes)))
    for panel, method in zip(panels, TRANSFERS, strict=True):
        mesh = panel.pcolormesh(across, along, fields[method].T, norm=norm, cmap=_style.DIVERGING)
        panel.plot(amount, data.boundary, "k-", lw=1.8, label="scratch fit = floor |P⊥ f_t|²")
        field = data.predicted_gain.values
        if min(field.shape) > 1 and np.nanmin(field) < 0 < np.nanmax(field):
            panel.contour(amount, sizes, field.T, levels=[0.0], colors="k", linestyles="dashed", linewidths=1.3)
        panel.plot([], [], "k--", lw=1.3, label="scratch fit = floor + variance")
        panel.set(yscale="log", xlim=across[[0, -1]], ylim=along[[0, -1]], xlabel=AXIS[data.attrs["family"]])
        panel.set_title(_style.LABELS[method])
        panel.set_yticks(sizes, [str(n) for n in sizes])
        panel.minorticks_off()
    share, cells = data.attrs["sign_share"], data.attrs["sign_cells"]
    panels[0].set_title(f"linear transfer (sign right: {100 * share:.0f} % of {cells} cells)")
    panels[0].set_ylabel("target samples n")
    panels[0].legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.85)
    figure.colorbar(mesh, ax=panels, label="R(scratch) − R(transfer), in E f_t²", extend="both")
    figure.suptitle(subtitle(data))
    return figure


def subtitle(data: xr.Dataset) -> str:
    """Settings a reader needs, in one line."""
    return f"{data.attrs['title']}, cut-off {data.attrs['cutoff']:g}   ({data.sizes['instance']} instances a cell)"


def slices(data: xr.Dataset) -> Figure:
    """Risk against n at up to four difficulties, with floor plus variance and the fitted power law."""
    amount, sizes = data.amount.values, data.num_samples.values
    chosen = sorted({round(i) for i in np.linspace(0, len(amount) - 1, min(4, len(amount)))})
    figure, panels = plt.subplots(
        1, len(chosen), figsize=(3.7 * len(chosen), 4.4), sharey=True, squeeze=False, layout="constrained"
    )
    low, high = data.attrs["exponent_low"], data.attrs["exponent_high"]
    fit = f"n^{data.attrs['exponent']:.2f}  [{low:.2f}, {high:.2f}]"
    for panel, at in zip(panels[0], chosen, strict=True):
        row = data.isel(amount=at)
        for method in data.protocol.values:
            one = row.sel(protocol=str(method))
            bars = {"fmt": "o", "ms": 4, "capsize": 2, "color": _style.COLOURS[str(method)]}
            panel.errorbar(sizes, one.risk_mean, one.risk_standard_error, label=_style.LABELS[str(method)], **bars)
        panel.plot(sizes, data.scratch_fit, "-", color=_style.COLOURS["scratch"], lw=1.2, label=fit)
        published = data.scratch_fit.values[0] * (sizes / sizes[0]) ** PUBLISHED_EXPONENT
        panel.plot(sizes, published, ":", color="0.5", lw=1.2, label=f"published n^{PUBLISHED_EXPONENT}")
        panel.plot(sizes, row.theory_linear_transfer, color=_style.COLOURS["linear_transfer"], label="floor + variance")
        panel.set(
            xscale="log",
            yscale="log",
            xlabel="target samples n",
            title=f"{AXIS[data.attrs['family']]} = {amount[at]:.3g}",
        )
        panel.set_xticks(sizes, [str(n) for n in sizes], rotation=45)
        panel.minorticks_off()
    panels[0][0].set_ylabel("excess risk / E f_t²")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    figure.suptitle(subtitle(data))
    return figure


def out_of_space(data: xr.Dataset) -> Figure:
    """The target's energy outside the learned space against difficulty: at the cut-off, in the span, and measured."""
    figure, panel = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
    amount, last = data.amount.values, data.isel(num_samples=-1)
    red = _style.COLOURS["linear_transfer"]
    panel.plot(amount, data.floor, "-", color=red, label=f"outside the features above cut-off {data.attrs['cutoff']:g}")
    panel.plot(amount, data.out_of_span_mean, "k:", label="outside the whole span (untrained features too)")
    panel.plot(
        amount,
        data.ridge_floor_mean,
        "--",
        color=_style.COLOURS["ridge_transfer"],
        label="ridge transfer, infinite data",
    )
    for method in ("linear_transfer", "ridge_transfer"):
        one = last.sel(protocol=method)
        panel.errorbar(
            amount, one.risk_mean, one.risk_standard_error, fmt="o", ms=4, capsize=2, color=_style.COLOURS[method],
            label=f"{_style.LABELS[method]}, n = {int(last.num_samples)}",
        )  # fmt: skip
    panel.set(xlabel=AXIS[data.attrs["family"]], ylabel="energy / E f_t²", ylim=(0, None))
    panel.legend(fontsize=9)
    panel.set_title(subtitle(data), fontsize=9)
    return figure
