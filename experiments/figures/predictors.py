"""What predicts transfer: the four claims about distances, and the table of rank correlations as a heat map."""

import json

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments.figures import style as _style
from experiments.prediction.rank_table import DISTANCES, MEASURES, METHODS, WORDS, signed
from tlx.glossary import Protocol

KL, TRANSPORT, DUDLEY = (_style.LOOKS[p].colour for p in (Protocol.SOURCE_RIDGE, Protocol.LORA, Protocol.LP_FT))


@_style.styled
def claims(data: xr.Dataset) -> Figure:
    """The four claims, each measured on trained networks (points, standard errors) with theory over it (lines)."""
    figure, panels = _style.panels(2, 2, 5.6, 4.6)
    _norms(panels[0, 0], data)
    _sizes(panels[0, 1], data)
    _angles(panels[1, 0], data)
    _samples(panels[1, 1], data)
    for panel, columns in zip(panels.ravel(), (2, 2, 1, 1), strict=True):
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)
    _style.heading(figure, data.attrs["title"])
    changes = len(data.attrs["sign_changes_limit"])
    kl = float(_value(_part(data, "sizes"), "kullback_leibler")[0])
    found = json.loads(data.attrs["claim_c"])
    return _style.caption(
        figure,
        f"Distances between data sets do not predict transfer ({data.attrs['title']}). (a) Targets c times the source: "
        "the feature is the same, distances grow or saturate, and the gain T grows like c². (b) One pair of laws "
        f"(KL = {kl:.2f}): the sign of T changes {changes} times with n (dotted lines, limit of large d). (c) At fixed "
        f"n and noise KL orders T up to a right angle (rank correlation {signed(found['measured [0, π/2]'])}) and not "
        f"beyond ({signed(found['measured [0, π]'])}). (d) Distances between finite samples measure the dimension. "
        "Points: trained networks with standard errors; lines: exact forms. Compare Figure 4 of the paper.",
    )


def _part(data: xr.Dataset, part: str) -> xr.Dataset:
    return data.isel(linear_task=np.flatnonzero(data.linear_part.values == part))


def _value(data: xr.Dataset, measure: str) -> np.ndarray:
    return data.linear_value.sel({"measure": measure}).values


def _measured(panel: Axes, x: np.ndarray, data: xr.Dataset, method: str, **options: str) -> None:
    one = data.sel(protocol=method)
    gain, error = one.linear_transferability, one.linear_transferability_standard_error
    _style.points(panel, x, gain, error, method, **options)


def _norms(panel: Axes, data: xr.Dataset) -> None:
    """(a) targets c f: distances grow or saturate, transferability grows like c^2."""
    rows = _part(data, "norms")
    norm = rows.linear_target_norm.values
    for method in METHODS:
        _measured(panel, norm, rows, method, label=f"$T$ of {WORDS[method]}")
        theory = rows.linear_theory_transferability.sel(protocol=method)
        panel.plot(norm, theory, color=_style.look(method).colour, lw=1.2)
    for measure, colour, name in (
        ("kullback_leibler", KL, "KL"),
        ("wasserstein_1", TRANSPORT, "$W_1$ (upper bound)"),
        ("dudley", DUDLEY, "Dudley (bounds)"),
    ):
        values = _value(rows, measure)
        shown = np.where(values > 1e-6, values, np.nan)  # the law itself is at no distance: c = 1
        panel.plot(norm, shown, "--", color=colour, lw=1.8, label=name)
        if measure == "dudley":
            panel.fill_between(norm, np.maximum(rows.dudley_lower.values, 1e-6), shown, color=colour, alpha=0.2, lw=0)
    panel.axhline(2, color=DUDLEY, lw=0.8, ls=":")
    panel.set(xscale="log", yscale="log", xlabel="$c$ (target = $c$ · source)", ylabel="distance; $T$")
    panel.set_ylim(0.1, None)
    few = norm[_style.spread(len(norm), 6)]
    panel.set_xticks(few, [f"{c:.3g}" for c in few])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_title("(a) same feature, any distance")


def _sizes(panel: Axes, data: xr.Dataset) -> None:
    """(b) one pair of laws: the sign of T changes with n."""
    rows = _part(data, "sizes")
    ratio = rows.linear_num_samples.values / data.attrs["dim"]
    curve, fine = data.fine_transferability.values, data.fine_ratio.values
    top = 1.6 * max(0.15, float(np.nanmax(np.abs(rows.linear_transferability.sel(protocol="linear_transfer")))) / 2)
    inside = np.clip(curve, -top, top)
    panel.plot(fine, np.where(np.abs(curve) <= 1.05 * top, curve, np.nan), "k-", lw=1.2, label="theory at this $d$")
    panel.fill_between(fine, 0, inside, where=curve > 0, color=_style.look("linear_transfer").colour, alpha=0.15, lw=0)
    panel.fill_between(fine, 0, inside, where=curve < 0, color=_style.look("fine_tuning").colour, alpha=0.15, lw=0)
    _measured(panel, ratio, rows, "linear_transfer")
    panel.axhline(0, color="k", lw=0.8)
    changes = data.attrs["sign_changes_limit"]
    for at in changes:
        panel.axvline(at, color="0.4", lw=0.8, ls=":")
    panel.set(xlabel="target samples per dimension $n/d$", ylabel="$T$ of linear transfer", ylim=(-top, top))
    panel.set_xlim(0.95 * ratio.min(), 1.03 * ratio.max())
    where = ", ".join(f"{at:.2f}" for at in changes)
    panel.set_title(rf"(b) one pair, $\theta = \pi/4$: signs change at {where}")


def _angles(panel: Axes, data: xr.Dataset) -> None:
    """(c) fixed n and noise: KL orders T up to a right angle, and not beyond."""
    rows = _part(data, "angles")
    theta, divergence = rows.linear_theta.values, _value(rows, "kullback_leibler")
    found = json.loads(data.attrs["claim_c"])
    theory = rows.linear_theory_transferability.sel(protocol="linear_transfer")
    panel.plot(divergence, theory, color="k", lw=1.2, label="theory")
    one = rows.sel(protocol="linear_transfer")
    gain, error = one.linear_transferability, one.linear_transferability_standard_error
    panel.errorbar(divergence, gain, error, fmt="none", capsize=2, color="0.5", zorder=1)
    points = panel.scatter(divergence, gain, c=theta, cmap="viridis", s=30, zorder=3, label="linear transfer, by angle")
    bar = panel.figure.colorbar(points, ax=panel, label=r"angle $\theta$")
    _style.pi_ticks(bar.ax.yaxis, np.pi)
    panel.axvline(float(np.interp(np.pi / 2, theta, divergence)), color="0.4", lw=0.8, ls=":")
    panel.axhline(0, color="k", lw=0.8)
    panel.set(xlabel=r"KL divergence $(1 - \cos\theta)/\sigma^2$", ylabel="$T$ of linear transfer")
    half, whole = found["measured [0, π/2]"], found["measured [0, π]"]
    panel.set_title(rf"(c) rank corr. {signed(half)} to $\pi/2$, {signed(whole)} to $\pi$")


def _samples(panel: Axes, data: xr.Dataset) -> None:
    """(d) distances between finite samples measure the dimension."""
    theta, values = data.sample_theta.values, data.sample_distance.values
    mean, error = data.sample_distance_mean.values, np.nan_to_num(data.sample_distance_standard_error.values)
    style = {"fmt": "o-", "ms": 5, "capsize": 2, "color": TRANSPORT}
    panel.errorbar(
        theta, mean, error, label=_style.typeset(f"$W_1$ between samples ($\\ell_1$), {data.attrs['samples']}"), **style
    )
    fine = np.linspace(0.02, np.pi, 200)
    bound = np.sqrt(2 / np.pi) * 2 * np.sin(fine / 2)
    panel.plot(fine, bound, "--", color=TRANSPORT, label="$W_1$ between the laws (upper bound)")
    panel.axhline(mean[0], color="0.4", ls=":", lw=1.2, label="two samples of the same law")
    panel.set(yscale="log", xlabel=r"angle $\theta$", ylabel="Wasserstein distance")
    panel.set_ylim(1e-2, 10 * np.nanmax(values))
    _style.pi_ticks(panel.xaxis, np.pi)
    panel.set_title("(d) distance between samples: one for all")


@_style.styled
def rank_correlations(data: xr.Dataset) -> Figure:
    """Rank correlation of every measure with measured transferability, +1 where its promise is kept."""
    kept = data.rank_correlation.values * data.promise.values[None, :, None]
    names = [str(name) for name in data.ensemble.values]
    figure, (row,) = _style.panels(1, 2, 7.0, 6.6, sharey=True)
    labels = [_measure(name) for name in (*MEASURES.values(), "exact theory")]
    for j, (panel, method) in enumerate(zip(row, METHODS, strict=True)):
        field = np.concatenate([kept[:, :, j], data.theory_rank_correlation.values[:, j : j + 1]], axis=1).T
        image = panel.imshow(field, vmin=-1, vmax=1, cmap=_style.DIVERGING, aspect="auto")
        for (k, column), value in np.ndenumerate(field):
            text = signed(value) if np.isfinite(value) else "–"
            ink = "w" if abs(value) > 0.7 else "k"
            panel.text(column, k, text, ha="center", va="center", fontsize=4.5 if _style.paper() else 8.5, color=ink)
        panel.axhline(len(DISTANCES) - 0.5, color="k", lw=1.5)
        panel.axhline(len(MEASURES) - 0.5, color="k", lw=1.5)
        panel.axvline(sum(name.startswith("linear") for name in names) - 0.5, color="k", lw=1.5)
        panel.set_xticks(range(len(names)), names, rotation=90)
        panel.set_yticks(range(len(labels)), labels)
        panel.set_title(WORDS[method])
    figure.colorbar(image, ax=row, label="rank correlation with measured $T$, promise kept", aspect=30)
    _style.heading(figure, f"linear: {data.attrs['title']}\nReLU: {data.attrs['relu_title']}")
    return _style.caption(
        figure,
        "Rank correlation of every measure with the measured gain of transfer, over all ensembles of tasks; +1: it "
        "orders transfer perfectly the way it promises (distances and errors turned round), −1: the wrong way round. "
        "Above the first line distances between data sets, below it scores of features, last the exact theory. Linear: "
        f"{data.attrs['title']}. ReLU: {data.attrs['relu_title']}. Beyond the paper.",
    )


def _measure(name: str) -> str:
    """A measure's short name with its symbols as mathematics."""
    known = {"χ²": r"$\chi^2$", "H²": "$H^2$", "W₁": "$W_1$", "W₂": "$W_2$"}
    return known.get(name, name)
