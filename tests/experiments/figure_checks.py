"""What can be wrong with a figure, read off the figure: text over text, outside, legends over data, white maps."""

import itertools

import numpy as np
from matplotlib.collections import QuadMesh

PIXEL = 1.0  # two boxes may touch by so much
VISIBLE = 4.0  # difference from white in CIE Lab units; the centre of the scale has 2.7
PRIMARIES = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])


def linear(colours):
    """sRGB in [0, 1] -> linear light."""
    colours = np.asarray(colours, float)
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def lab(light):
    """Linear RGB -> CIE Lab."""
    ratio = light @ PRIMARIES.T / PRIMARIES.sum(1)
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def texts(figure):
    """(text, box) of everything that is written."""
    found = [figure._suptitle] if figure._suptitle else []
    found += [*figure.texts, *(word for legend in legends(figure) for word in legend.get_texts())]
    for panel in figure.axes:
        found += [*panel.texts, panel.title, panel._left_title, panel._right_title]
        if not panel.axison:
            continue
        for axis in axes_of(panel):
            found += [axis.label, axis.offsetText]
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            ticks = [*zip(axis.get_majorticklocs(), axis.get_majorticklabels()),
                     *zip(axis.get_minorticklocs(), axis.get_minorticklabels())]  # fmt: skip
            found += [label for at, label in ticks if low - room <= at <= high + room]
    written = [word for word in found if word.get_visible() and word.get_text().strip()]
    renderer = figure.canvas.get_renderer()
    return [(word.get_text(), word.get_window_extent(renderer)) for word in dict.fromkeys(written)]


def axes_of(panel):
    return [panel.xaxis, panel.yaxis, *([panel.zaxis] if hasattr(panel, "zaxis") else [])]


def legends(figure):
    return [*figure.legends, *(panel.get_legend() for panel in figure.axes if panel.get_legend())]


def overlapping(figure):
    """Pairs of texts whose boxes overlap."""
    return [(a, b) for (a, one), (b, two) in itertools.combinations(texts(figure), 2) if cross(one, two)]


def cross(one, two):
    width = min(one.x1, two.x1) - max(one.x0, two.x0)
    height = min(one.y1, two.y1) - max(one.y0, two.y0)
    return width > PIXEL and height > PIXEL


def outside(figure):
    """Texts that are not wholly on the canvas."""
    width, height = figure.canvas.get_width_height()
    inside = lambda b: b.x0 >= -PIXEL and b.y0 >= -PIXEL and b.x1 <= width + PIXEL and b.y1 <= height + PIXEL  # noqa: E731
    return [word for word, box in texts(figure) if not inside(box)]


def covering(figure):
    """Legends that lie over a panel with data."""
    renderer = figure.canvas.get_renderer()
    boxes = [legend.get_window_extent(renderer) for legend in legends(figure)]
    return [panel.get_title() for panel in figure.axes for box in boxes if panel.axison and cross(panel.bbox, box)]


def maps(figure):
    """(title, share of cells that the eye tells from white or that are nothing) of every heat map."""
    out = []
    for panel in figure.axes:
        for mesh in [c for c in (*panel.collections, *panel.images) if isinstance(c, QuadMesh) or c in panel.images]:
            values = np.ma.masked_invalid(mesh.get_array()).compressed()
            if panel.get_label() == "<colorbar>" or not values.size:
                continue
            colours = np.asarray(mesh.cmap(mesh.norm(values)))[:, :3]
            seen = np.linalg.norm(lab(linear(colours)) - lab(np.ones(3)), axis=-1) >= VISIBLE
            out.append((panel.get_title(), float(np.mean(seen | (np.abs(values) < 1e-3 * np.abs(values).max())))))
    return out
