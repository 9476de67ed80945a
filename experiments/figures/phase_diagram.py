"""Phase diagrams of transferability, and slices through them."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.running.grid import edges
from tlx.train import Status

SLICES = (np.pi / 8, np.pi / 4, 3 * np.pi / 8)
TRANSFERS = ("linear_transfer", "fine_tuning")


def diagram(data: xr.Dataset) -> Figure:
    """Measured and theoretical transferability with the T = 0 contour of the theory, one row per method."""
    theta, ratio = data.theta.values, data.sample_ratio.values
    fine = data.fine_theta.values, data.fine_ratio.values
    measured = {m: data.transferability.sel(protocol=m).values for m in TRANSFERS}
    theory = {m: data.transferability_field.sel(protocol=m).values for m in TRANSFERS}
    norm = _style.signed_norm(*measured.values())
    figure, panels = plt.subplots(2, 2, figsize=(10, 7.5), sharex=True, sharey=True, layout="constrained")
    for (left, right), method in zip(panels, TRANSFERS, strict=True):
        mesh = _heat(left, theta, ratio, measured[method], norm)
        _heat(right, *fine, theory[method], norm)
        for panel, title in ((left, "trained networks"), (right, "theory")):
            _zero_contour(panel, *fine, theory[method])
            panel.set_title(f"{_style.LABELS[method]}: {title}")
        _mark_unconverged(left, data, method)
        left.set_ylabel("samples per dimension  n / d")
    _style.pi_ticks(left.xaxis, theta.max())
    left.set(xlim=fine[0][[0, -1]], ylim=fine[1][[0, -1]])  # after the ticks, which would widen them
    for panel in panels[-1]:
        panel.set_xlabel("overlap angle θ")
    figure.colorbar(mesh, ax=panels, label="transferability  T = R(scratch) − R(transfer)", extend="both", shrink=0.8)
    figure.suptitle(subtitle(data))
    return figure


def subtitle(data: xr.Dataset) -> str:
    """Settings a reader needs, in one line."""
    return f"{data.attrs['title']}   ({data.sizes['instance']} instances a cell; line: T = 0 in theory)"


def _heat(panel, theta: np.ndarray, ratio: np.ndarray, field: np.ndarray, norm):
    field = np.where(np.isinf(field), np.sign(field) * 1e9, field)
    mesh = panel.pcolormesh(edges(theta), edges(ratio), field.T, norm=norm, cmap=_style.DIVERGING, rasterized=True)
    panel.set_facecolor("0.85")  # cells without a number
    return mesh


def _zero_contour(panel, theta: np.ndarray, ratio: np.ndarray, field: np.ndarray) -> None:
    finite = np.where(np.isinf(field), np.sign(field) * 1e3, field)
    if min(finite.shape) < 2 or not (np.nanmin(finite) < -1e-9 and np.nanmax(finite) > 1e-9):
        return
    flat = np.where(np.abs(finite) < 1e-9, np.nan, finite)  # T = 0 exactly over a region is no boundary
    squeezed = flat / (1 + np.abs(flat))  # linear near zero, bounded at poles: straight interpolation is right
    panel.contour(theta, ratio, squeezed.T, levels=[0.0], colors="k", linewidths=1.5)


def _mark_unconverged(panel, data: xr.Dataset, method: str) -> None:
    status = data.status.sel(protocol=[method, "scratch"])
    short = (status == Status.MAX_STEPS).any(("protocol", "instance")).values
    failed = (status >= Status.DIVERGED).any(("protocol", "instance")).values
    theta, ratio = np.meshgrid(data.theta.values, data.sample_ratio.values, indexing="ij")
    for mask, mark, label in ((short, ".", "steps ran out"), (failed, "x", "runs diverged")):
        if mask.any():
            panel.scatter(theta[mask], ratio[mask], s=14, c="k", marker=mark, linewidths=0.8, label=label)
            panel.legend(loc="upper left", fontsize=8)


def slices(data: xr.Dataset) -> Figure:
    """Risk against sample ratio at three angles: trained networks with standard errors, theory as lines."""
    theta = data.theta.values
    chosen = sorted({int(np.argmin(np.abs(theta - angle))) for angle in SLICES})
    figure, panels = plt.subplots(
        1, len(chosen), figsize=(4.2 * len(chosen), 4), sharey=True, squeeze=False, layout="constrained"
    )
    top = ceiling(data.risk_mean.values[:, chosen], data.sample_ratio.values)
    for panel, at in zip(panels[0], chosen, strict=True):
        for method in data.protocol.values:
            one_slice(panel, data.isel(theta=at).sel(protocol=method), str(method))
        published = data.theory_published_curve.isel(theta=at).sel(protocol="fine_tuning")
        panel.plot(data.fine_ratio, finite(published), ":", color=_style.COLOURS["fine_tuning"], label="published form")
        panel.set(xlabel="samples per dimension  n / d", title=f"θ = {theta[at] / np.pi:.3g} π", ylim=(0, top))
    panels[0][0].set_ylabel("excess risk")
    if (data.status == Status.MAX_STEPS).any():
        panels[0][-1].plot([], [], "o", mfc="none", color="k", label="steps ran out")
    panels[0][-1].legend()
    figure.suptitle(f"{data.attrs['title']}   ({data.sizes['instance']} instances; lines: exact forms)")
    return figure


def finite(curve: xr.DataArray) -> np.ndarray:
    """The curve with a gap where it is infinite."""
    return np.where(np.isfinite(curve), curve, np.nan)


def ceiling(means: np.ndarray, ratio: np.ndarray) -> float:
    """The top of a risk axis: above every mean away from the pole at n = d."""
    away = np.where(np.abs(ratio - 1) > 0.15, means, np.nan)
    seen = away[np.isfinite(away)] if np.isfinite(away).any() else means[np.isfinite(means)]
    return 1.15 * float(seen.max()) if seen.size else 1.0


def one_slice(panel, data: xr.Dataset, method: str) -> None:
    """One method's means with standard errors (open where steps ran out) and its exact form."""
    colour = _style.COLOURS[method]
    panel.plot(data.fine_ratio, finite(data.theory_curve), "-", color=colour, lw=1.5)
    short = (data.status == Status.MAX_STEPS).any("instance").values
    for mask, face, label in ((~short, colour, _style.LABELS[method]), (short, "none", None)):
        if mask.any():
            panel.errorbar(
                data.sample_ratio[mask],
                data.risk_mean[mask],
                data.risk_standard_error[mask],
                fmt="o",
                ms=4,
                mfc=face,
                color=colour,
                capsize=2,
                label=label,
            )
