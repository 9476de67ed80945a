"""Heat maps of signed quantities: rectangles where something was measured, a readable scale, poles marked as such."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import NullLocator

from experiments.figures import style as _style

BEYOND = 3.0  # times the scale: a cell so far out is marked as a pole
FULL = 90  # percentile of the sizes that the scale reaches to
VISIBLE = 0.04  # of the scale: what the eye tells from white


def signed_norm(*fields: np.ndarray) -> Normalize:
    """A symmetric scale around zero, clipped so that poles do not bleach the rest.

    It reaches to the 90th percentile of the sizes that are not nothing; where a fifth of those could then not be told
    from white it is linear around zero alone, and logarithmic (asinh) beyond.
    """
    values = np.abs(np.concatenate([np.ravel(field) for field in fields]))
    values = values[np.isfinite(values)]
    values = values[values > 2e-3 * np.percentile(values, 95)] if values.size else values
    if not values.size:
        return TwoSlopeNorm(0.0, -1.0, 1.0)
    top, small = float(np.percentile(values, FULL)), float(np.percentile(values, 15))
    if small >= VISIBLE * top:
        return TwoSlopeNorm(0.0, -top, top)
    return AsinhNorm(linear_width=top / 10, vmin=-top, vmax=top)


def bar(figure: Figure, image: Any, panels: Any, label: str) -> None:
    """The scale beside the panels, its ends open; decades where it is not linear."""
    scale = figure.colorbar(image, ax=panels, label=label, extend="both", aspect=30)
    if isinstance(image.norm, AsinhNorm):
        top, flat = image.norm.vmax, image.norm.linear_width
        decades = [d for d in 10.0 ** np.arange(-8, 9) if 1.2 * flat <= d <= top]
        scale.set_ticks([*(-d for d in reversed(decades)), 0.0, *decades])
        scale.ax.yaxis.set_minor_locator(NullLocator())
        scale.ax.set_yticklabels([*(f"−{d:g}" for d in reversed(decades)), "0", *(f"{d:g}" for d in decades)])


def extents(centres: np.ndarray, log: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of cells that reach half way to the nearer neighbour: a gap in a grid stays one.

    Where steps only grow a little (20, 40, 80, 200), nothing was left out, and neighbours touch.
    """
    at = np.log(centres) if log else np.asarray(centres, float)
    if at.size == 1:
        half = np.array([0.2 if log else 0.1 * max(abs(at[0]), 0.5)])
    else:
        gap = np.diff(at)
        half = np.minimum(np.append(gap[:1], gap), np.append(gap, gap[-1:])) / 2
    low, high = at - half, at + half
    between = low[1:] - high[:-1]
    touch = between < 0.5 * (half[1:] + half[:-1])
    middle = (low[1:] + high[:-1]) / 2
    low[1:], high[:-1] = np.where(touch, middle, low[1:]), np.where(touch, middle, high[:-1])
    return (np.exp(low), np.exp(high)) if log else (low, high)


def mesh(panel: Axes, x: np.ndarray, y: np.ndarray, field: np.ndarray, norm: Any, log: bool = False) -> Any:
    """The field (x, y) as rectangles, grey where there is no number and between cells; y on a log axis if asked."""
    across, columns = _ends(*extents(x))
    along, rows = _ends(*extents(y, log))
    whole = np.full((len(along) - 1, len(across) - 1), np.nan)
    whole[np.ix_(rows, columns)] = np.where(np.isinf(field), np.sign(field) * 1e9, field).T
    panel.set_facecolor(_style.NOTHING)
    return panel.pcolormesh(across, along, whole, norm=norm, cmap=_style.DIVERGING, rasterized=True)


def gaps(x: np.ndarray, y: np.ndarray, log: bool = False) -> bool:
    """Whether something between the cells is left grey."""
    along = [extents(x), extents(y, log)]
    return any(bool(np.any(low[1:] > high[:-1] + 1e-6 * (high[-1] - low[0]))) for low, high in along)


def _ends(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ends in order, and at which of the intervals between them the cells are."""
    room = 1e-6 * (high[-1] - low[0])
    ends, places = [low[0]], []
    for begin, end in zip(low, high, strict=True):
        if begin > ends[-1] + room:
            ends.append(begin)
        places.append(len(ends) - 1)
        ends.append(end)
    return np.asarray(ends), np.asarray(places)


def zero_line(panel: Axes, x: np.ndarray, y: np.ndarray, field: np.ndarray) -> None:
    """Where the field changes its sign; where it is 0 all over is no boundary."""
    finite = np.where(np.isinf(field), np.sign(field) * 1e3, field)
    if min(finite.shape) < 2 or not (np.nanmin(finite) < -1e-9 and np.nanmax(finite) > 1e-9):
        return
    flat = np.where(np.abs(finite) < 1e-9, np.nan, finite)
    squeezed = flat / (1 + np.abs(flat))  # linear near zero, bounded at poles: straight interpolation is right
    panel.contour(x, y, squeezed.T, levels=[0.0], colors="k", linewidths=1.5)


def mark_beyond(panel: Axes, x: np.ndarray, y: np.ndarray, field: np.ndarray, norm: Any) -> bool:
    """A white cross in every cell far beyond the scale; whether there is one."""
    far = np.isfinite(field) & (np.abs(field) > BEYOND * norm.vmax)
    across, along = np.meshgrid(x, y, indexing="ij")
    panel.scatter(across[far], along[far], s=16, c="w", marker="+", linewidths=0.9, zorder=3)
    return bool(far.any())


def hatch(panel: Axes, x: np.ndarray, y: np.ndarray, chosen: np.ndarray, pattern: str, log: bool = False) -> bool:
    """Lines across every chosen cell; whether there is one."""
    (left, right), (low, high) = extents(x), extents(y, log)
    for i, j in np.argwhere(chosen):
        corner, width, height = (left[i], low[j]), right[i] - left[i], high[j] - low[j]
        panel.add_patch(Rectangle(corner, width, height, fill=False, hatch=pattern, ec="0.4", lw=0, zorder=2))
    return bool(np.any(chosen))


def boundary_key(text: str = "$T = 0$ in theory", style: str = "-") -> Line2D:
    """Legend entry of a boundary."""
    return Line2D([], [], color="k", ls=style, lw=1.5, label=text)


def beyond_key() -> Line2D:
    """Legend entry of cells far beyond the scale."""
    return Line2D([], [], ls="", marker="P", mfc="w", mec="0.3", label=f"beyond {BEYOND:g} times the scale (pole)")


def hatch_key(pattern: str, text: str) -> Patch:
    """Legend entry of hatched cells."""
    return Patch(fc="w", ec="0.25", hatch=pattern, lw=0.5, label=text)


def nothing_key() -> Patch:
    """Legend entry of what was not measured."""
    return Patch(fc=_style.NOTHING, ec="0.6", lw=0.5, label="not measured")
