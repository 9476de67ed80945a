"""What predicts transfer: the four claims about distances, and the table of rank correlations as a heat map."""

import json

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.prediction.rank_table import DISTANCES, MEASURES, METHODS, WORDS, signed

KL, TRANSPORT, DUDLEY = "#8172b3", "#937860", "#55a868"


def claims(data: xr.Dataset) -> Figure:
    """The four claims, each measured on trained networks (points, standard errors) with theory over it (lines)."""
    figure, panels = plt.subplots(2, 2, figsize=(13, 9.6), layout="constrained")
    _norms(panels[0, 0], data)
    _sizes(panels[0, 1], data)
    _angles(panels[1, 0], data)
    _samples(panels[1, 1], data)
    figure.suptitle(data.attrs["title"])
    return figure


def _part(data: xr.Dataset, part: str) -> xr.Dataset:
    return data.isel(linear_task=np.flatnonzero(data.linear_part.values == part))


def _value(data: xr.Dataset, measure: str) -> np.ndarray:
    return data.linear_value.sel({"measure": measure}).values


def _measured(panel: Axes, x: np.ndarray, data: xr.Dataset, method: str, **options: object) -> None:
    one = data.sel(protocol=method)
    panel.errorbar(
        x, one.linear_transferability, one.linear_transferability_standard_error, fmt="o", ms=4.5, capsize=2,
        color=_style.COLOURS[method], **options,
    )  # fmt: skip


def _norms(panel: Axes, data: xr.Dataset) -> None:
    """(a) targets c f: distances grow or saturate, transferability grows like c^2."""
    rows = _part(data, "norms")
    norm = rows.linear_target_norm.values
    for method in METHODS:
        _measured(panel, norm, rows, method, label=f"T of {WORDS[method]}, trained")
        theory = rows.linear_theory_transferability.sel(protocol=method)
        panel.plot(norm, theory, color=_style.COLOURS[method], lw=1.2)
    for measure, colour, name in (
        ("kullback_leibler", KL, "KL"),
        ("wasserstein_1", TRANSPORT, "W₁ (upper bound)"),
        ("dudley", DUDLEY, "Dudley (bounds)"),
    ):
        values = _value(rows, measure)
        shown = np.where(values > 1e-6, values, np.nan)  # the law itself is at no distance: c = 1
        panel.plot(norm, shown, "--", color=colour, lw=1.8, label=name)
        if measure == "dudley":
            panel.fill_between(norm, np.maximum(rows.dudley_lower.values, 1e-6), shown, color=colour, alpha=0.2, lw=0)
    panel.axhline(2, color=DUDLEY, lw=0.8, ls=":")
    panel.set(
        xscale="log",
        yscale="log",
        xlabel="c  (target = c · source; at c = 1 all distances are 0)",
        ylabel="distance;  T",
    )
    panel.set_ylim(0.1, None)
    panel.set_xticks(norm, [f"{c:g}" for c in norm])
    panel.minorticks_off()
    panel.legend(fontsize=9, loc="upper left")
    panel.set_title("(a) same feature, any distance: T grows like c²")


def _sizes(panel: Axes, data: xr.Dataset) -> None:
    """(b) one pair of laws: the sign of T changes with n."""
    rows = _part(data, "sizes")
    ratio = rows.linear_num_samples.values / data.attrs["dim"]
    curve, fine = data.fine_transferability.values, data.fine_ratio.values
    top = 1.6 * max(0.15, float(np.nanmax(np.abs(rows.linear_transferability.sel(protocol="linear_transfer")))) / 2)
    inside = np.clip(curve, -top, top)
    panel.plot(fine, np.where(np.abs(curve) <= 1.05 * top, curve, np.nan), "k-", lw=1.2, label="theory at this d")
    panel.fill_between(fine, 0, inside, where=curve > 0, color=_style.COLOURS["linear_transfer"], alpha=0.15, lw=0)
    panel.fill_between(fine, 0, inside, where=curve < 0, color=_style.COLOURS["fine_tuning"], alpha=0.15, lw=0)
    _measured(panel, ratio, rows, "linear_transfer", label="linear transfer, trained")
    panel.axhline(0, color="k", lw=0.8)
    for at in data.attrs["sign_changes_limit"]:
        panel.axvline(at, color="0.4", lw=0.8, ls=":")
        panel.annotate(f"{at:.3f}", (at, top), ha="center", va="bottom", fontsize=9, annotation_clip=False)
    panel.set(xlabel="target samples per dimension  n / d", ylabel="T of linear transfer", ylim=(-top, top))
    panel.set_xlim(0.95 * ratio.min(), 1.03 * ratio.max())
    panel.legend(fontsize=9, loc="lower left", frameon=True, framealpha=1, edgecolor="none")
    kl = float(_value(rows, "kullback_leibler")[0])
    changes = len(data.attrs["sign_changes_limit"])
    panel.set_title(f"(b) one pair (θ = π/4, KL = {kl:.2f}): the sign changes {changes} times with n", pad=18)


def _angles(panel: Axes, data: xr.Dataset) -> None:
    """(c) fixed n and noise: KL orders T up to a right angle, and not beyond."""
    rows = _part(data, "angles")
    theta, divergence = rows.linear_theta.values, _value(rows, "kullback_leibler")
    found = json.loads(data.attrs["claim_c"])
    theory = rows.linear_theory_transferability.sel(protocol="linear_transfer")
    panel.plot(divergence, theory, color="k", lw=1.2, label="theory")
    one = rows.sel(protocol="linear_transfer")
    panel.errorbar(
        divergence, one.linear_transferability, one.linear_transferability_standard_error, fmt="none", capsize=2,
        color="0.5", zorder=1,
    )  # fmt: skip
    points = panel.scatter(divergence, one.linear_transferability, c=theta, cmap="viridis", s=30, zorder=3)
    bar = panel.figure.colorbar(points, ax=panel, label="angle θ")
    _style.pi_ticks(bar.ax.yaxis, np.pi)
    panel.axvline(float(np.interp(np.pi / 2, theta, divergence)), color="0.4", lw=0.8, ls=":")
    panel.axhline(0, color="k", lw=0.8)
    panel.set(xlabel="KL divergence  (1 − cos θ)/σ²", ylabel="T of linear transfer")
    panel.legend(fontsize=9)
    half, whole = found["measured [0, π/2]"], found["measured [0, π]"]
    panel.set_title(f"(c) rank correlation of KL with T: {signed(half)} up to θ = π/2, {signed(whole)} up to π")


def _samples(panel: Axes, data: xr.Dataset) -> None:
    """(d) distances between finite samples measure the dimension."""
    theta, values = data.sample_theta.values, data.sample_distance.values
    mean, error = data.sample_distance_mean.values, np.nan_to_num(data.sample_distance_standard_error.values)
    style = {"fmt": "o-", "ms": 5, "capsize": 2, "color": TRANSPORT}
    panel.errorbar(theta, mean, error, label=f"W₁ between samples (l1), {data.attrs['samples']}", **style)
    fine = np.linspace(0.02, np.pi, 200)
    bound = np.sqrt(2 / np.pi) * 2 * np.sin(fine / 2)
    panel.plot(fine, bound, "--", color=TRANSPORT, label="W₁ between the laws (upper bound)")
    panel.axhline(mean[0], color="0.4", ls=":", lw=1.2, label="two samples of the same law")
    panel.set(yscale="log", xlabel="angle θ", ylabel="Wasserstein distance", ylim=(1e-2, 10 * np.nanmax(values)))
    _style.pi_ticks(panel.xaxis, np.pi)
    panel.legend(fontsize=9, loc="center right")
    panel.set_title(f"(d) between samples: {np.nanmean(values):.0f} at every angle")


def rank_correlations(data: xr.Dataset) -> Figure:
    """Rank correlation of every measure with measured transferability, +1 where its promise is kept."""
    kept = data.rank_correlation.values * data.promise.values[None, :, None]
    names = [str(name) for name in data.ensemble.values]
    figure, panels = plt.subplots(1, 2, figsize=(15, 7.6), sharey=True, layout="constrained")
    labels = [*MEASURES.values(), "exact theory"]
    for j, (panel, method) in enumerate(zip(panels, METHODS, strict=True)):
        field = np.concatenate([kept[:, :, j], data.theory_rank_correlation.values[:, j : j + 1]], axis=1).T
        mesh = panel.imshow(field, vmin=-1, vmax=1, cmap=_style.DIVERGING, aspect="auto")
        for (row, column), value in np.ndenumerate(field):
            text = signed(value) if np.isfinite(value) else "–"
            panel.text(
                column, row, text, ha="center", va="center", fontsize=8.5, color="w" if abs(value) > 0.7 else "k"
            )
        panel.axhline(len(DISTANCES) - 0.5, color="k", lw=1.5)
        panel.axhline(len(MEASURES) - 0.5, color="k", lw=1.5)
        panel.axvline(sum(name.startswith("linear") for name in names) - 0.5, color="k", lw=1.5)
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=9)
        panel.set_yticks(range(len(labels)), labels)
        panel.set_title(WORDS[method])
    figure.colorbar(mesh, ax=panels, label="rank correlation with measured T, promise kept", shrink=0.8)
    figure.suptitle(f"linear: {data.attrs['title']}\nReLU: {data.attrs['relu_title']}", fontsize=11)
    return figure
