"""Phase diagrams of transferability, and slices through them."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures import heat as _heat
from experiments.figures import style as _style
from tlx.train import Status

SLICES = (np.pi / 8, np.pi / 4, 3 * np.pi / 8)
TRANSFERS = ("linear_transfer", "fine_tuning")
RATIO = "samples per dimension $n/d$"
SHORT, FAILED = "////", "xxx"  # hatches: steps ran out, runs diverged


@_style.styled
def diagram(data: xr.Dataset) -> Figure:
    """Measured and theoretical transferability with the T = 0 contour of the theory, one row per protocol."""
    fine = data.fine_theta.values, data.fine_ratio.values
    norm = _heat.signed_norm(*(data.transferability.sel(protocol=m).values for m in TRANSFERS))
    figure, panels = _style.panels(2, 2, 4.7, 3.5, sharex=True, sharey=True)
    marks = set()
    for (left, right), method in zip(panels, TRANSFERS, strict=True):
        theory = data.transferability_field.sel(protocol=method).values
        marks |= _measured(left, data, method, norm)
        mesh = _heat.mesh(right, *fine, theory, norm)
        if np.isinf(theory).any() or np.nanmax(np.abs(theory)) > _heat.BEYOND * norm.vmax:
            right.axhline(1.0, color="w", ls=(0, (1, 1.5)), lw=1.2)
        for panel, title in ((left, "trained networks"), (right, "theory")):
            _heat.zero_line(panel, *fine, theory)
            panel.set_title(f"{_style.look(method).label}: {title}")
        left.set_ylabel(RATIO)
    _style.pi_ticks(left.xaxis, data.theta.values.max())
    left.set(xlim=fine[0][[0, -1]], ylim=fine[1][[0, -1]])  # after the ticks, which would widen them
    for panel in panels[-1]:
        panel.set_xlabel(r"overlap angle $\theta$")
    _heat.bar(figure, mesh, panels, "transferability $T$ = $R$(scratch) − $R$(transfer)")
    figure.legend(handles=_keys(marks, data), loc="outside lower center", ncols=2 if _style.paper() else 4)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Transferability T = R(scratch) − R(transfer) over the overlap angle and the target samples per dimension; "
        f"red: transfer helps, blue: it hurts. Left: trained networks, mean of {data.sizes['instance']} instances a "
        f"cell ({data.attrs['title']}). Right: exact form. Line: T = 0 of the exact form. The colour scale ends where "
        "the boundary stays readable; white crosses and the dotted line mark the pole of scratch training at n = d.",
        "Hatched: in some instances training was stopped by its number of steps." if "short" in marks else "",
        "Compare Figures 1 and 2 of the paper, 7 without noise.",
    )


def _measured(panel: Axes, data: xr.Dataset, method: str, norm: Any) -> set[str]:
    """The trained networks' half; what of it needs a legend."""
    at = data.theta.values, data.sample_ratio.values
    field, status = data.transferability.sel(protocol=method).values, data.status.sel(protocol=[method, "scratch"])
    short = (status == Status.MAX_STEPS).any(("protocol", "instance")).values
    failed = (status >= Status.DIVERGED).any(("protocol", "instance")).values
    _heat.mesh(panel, *at, field, norm)
    found = {"beyond"} if _heat.mark_beyond(panel, *at, field, norm) else set()
    found |= {"short"} if _heat.hatch(panel, *at, short, SHORT) else set()
    return found | ({"failed"} if _heat.hatch(panel, *at, failed, FAILED) else set())


def _keys(marks: set[str], data: xr.Dataset) -> list[Any]:
    gaps = _heat.gaps(data.theta.values, data.sample_ratio.values) or bool(data.transferability.isnull().any())
    known = {
        "beyond": _heat.beyond_key(),
        "short": _heat.hatch_key(SHORT, "steps ran out"),
        "failed": _heat.hatch_key(FAILED, "runs diverged"),
    }
    chosen = [key for name, key in known.items() if name in marks]
    return [_heat.boundary_key(), *chosen, *([_heat.nothing_key()] if gaps else [])]


@_style.styled
def slices(data: xr.Dataset) -> Figure:
    """Risk against sample ratio at three angles: trained networks with standard errors, theory as lines."""
    theta = data.theta.values
    chosen = sorted({int(np.argmin(np.abs(theta - angle))) for angle in SLICES})
    figure, (row,) = _style.panels(1, len(chosen), 4.2, 3.6, sharey=True)
    top = ceiling(data.risk_mean.values[:, chosen], data.sample_ratio.values)
    for panel, at in zip(row, chosen, strict=True):
        one = data.isel(theta=at)
        for method in data.protocol.values:
            one_slice(panel, one.sel(protocol=method), str(method))
        published_line(panel, one)
        panel.set(xlabel=RATIO, title=_style.angle(theta[at]), ylim=(0, top))
    row[0].set_ylabel(r"excess risk $R$")
    keys(figure, row[0], data)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        f"Excess risk against the target samples per dimension at {len(chosen)} overlap angles. Points: trained "
        f"networks, mean and standard error of {data.sizes['instance']} instances ({data.attrs['title']}). Lines: "
        "exact forms; dotted: fine-tuning as published. Compare the slices of Figures 1 and 2 of the paper.",
        UNFINISHED if has_short(data) else "",
    )


UNFINISHED = "Pale crosses: some instances were stopped by the number of steps, so that this is no end of training."


def has_short(data: xr.Dataset) -> bool:
    """Whether training was stopped by its number of steps anywhere."""
    return bool((data.status == Status.MAX_STEPS).any())


def keys(figure: Figure, panel: Axes, data: xr.Dataset) -> None:
    """One legend for panels of slices: protocols, whether or not this panel has all of them, and what lines mean."""
    marks = [_style.look(str(name)) for name in data.protocol.values]
    handles = [Line2D([], [], color=m.colour, marker=m.marker, ms=5, lw=1.5, label=m.label) for m in marks]
    colour = _style.look("fine_tuning").colour
    handles.append(Line2D([], [], color=colour, ls=":", lw=1.5, label="fine-tuning as published"))
    if has_short(data):
        handles.append(Line2D([], [], ls="", marker="x", color="k", alpha=0.4, label="steps ran out"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5 if figure.get_size_inches()[0] > 9 else 2)


def published_line(panel: Axes, one: xr.Dataset) -> None:
    """Fine-tuning's risk by the published form."""
    curve = finite(one.theory_published_curve.sel(protocol="fine_tuning"))
    panel.plot(one.fine_ratio, curve, ":", color=_style.look("fine_tuning").colour, lw=1.5)


def finite(curve: xr.DataArray) -> np.ndarray:
    """The curve with a gap where it is infinite."""
    return np.where(np.isfinite(curve), curve, np.nan)


def ceiling(means: np.ndarray, ratio: np.ndarray) -> float:
    """The top of a risk axis: above every mean away from the pole at n = d."""
    away = np.where(np.abs(ratio - 1) > 0.15, means, np.nan)
    seen = away[np.isfinite(away)] if np.isfinite(away).any() else means[np.isfinite(means)]
    return 1.15 * float(seen.max()) if seen.size and seen.max() > 0 else 1.0


def one_slice(panel: Axes, data: xr.Dataset, method: str) -> None:
    """One protocol's means with standard errors (pale crosses where steps ran out) and its exact form."""
    panel.plot(data.fine_ratio, finite(data.theory_curve), "-", color=_style.look(method).colour, lw=1.5)
    short = (data.status == Status.MAX_STEPS).any("instance").values
    at = data.sample_ratio.values, data.risk_mean.values, data.risk_standard_error.values
    if (~short).any():
        x, mean, error = (values[~short] for values in at)
        _style.points(panel, x, mean, error, method)
    if short.any():
        x, mean, error = (values[short] for values in at)
        _style.unfinished(panel, x, mean, error, _style.look(method).colour)
