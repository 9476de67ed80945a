"""The planner on real data: what it said beside what training showed, part by part; nothing is computed here."""

import json
import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from experiments.figures import style as _style

NAMES = {"linear_transfer": "probe", "source_ridge": "ridge beside the features"}  # of whatever was pretrained
SHARES = (("right", "within 5 % of the best", "#1f6f43"), ("within", "within 10 %", "#8fc7a6"))
_OTHERS = ("worse", "#e6c3a5"), ("harmful: worse by more than 25 %", "#a3331f"), ("undecided", "0.85")


@_style.styled
def advice(data: xr.Dataset) -> Figure:
    """The planner's score card: how often it spoke, and how far what it advised was from the best."""
    cards = json.loads(data.attrs["tables"])["score_card"]
    figure, ((panel,),) = _style.panels(1, 1, 9.4, 0.5 + 0.7 * len(cards))
    for at, card in enumerate(cards.values()):
        left = 0.0
        bad = card["spoke"] - card["within"] - card["harmful"]
        parts = [card["right"], card["within"] - card["right"], bad, card["harmful"], card["asked"] - card["spoke"]]
        colours = [SHARES[0][2], SHARES[1][2], *(colour for _, colour in _OTHERS)]
        labels = [SHARES[0][1], SHARES[1][1], *(label for label, _ in _OTHERS)]
        for count, colour, label in zip(parts, colours, labels, strict=True):
            width = count / max(card["asked"], 1)
            panel.barh(at, width, left=left, color=colour, label=label if at == 0 else None)
            if width > 0.04:
                ink = "w" if colour in (SHARES[0][2], _OTHERS[1][1]) else "k"
                panel.text(left + width / 2, at, str(count), ha="center", va="center", color=ink)
            left += width
    panel.set_yticks(range(len(cards)), [textwrap.fill(name, 26) for name in cards])
    panel.invert_yaxis()
    panel.set(xlim=(0, 1), xlabel="share of the pilots", title="what the planner advised, against what training showed")
    figure.legend(loc="outside lower center", ncols=3)
    return _style.caption(
        figure,
        "What the planner said of pilots of real data, and how it turned out against really trained methods: "
        "numbers of pilots, a bar for each kind of data; grey: it said that it cannot tell. The best is that of the "
        "mean error over a cell. Beyond the paper.",
    )


@_style.styled
def errors(data: xr.Dataset) -> Figure:
    """Measured errors of each part, mean and standard error over pilots, and the form of the probe's error."""
    drawn = [
        panel
        for name, panel in (
            ("words_mean", _words),
            ("form_mean", _form),
            ("element_mean", _elements),
            ("digits_mean", _digits),
        )
        if name in data
    ]
    columns = min(2, len(drawn))
    figure, panels = _style.panels(-(-len(drawn) // columns), columns, 5.4, 4.4)
    for panel in panels.ravel()[len(drawn) :]:
        panel.remove()
    for panel, draw in zip(panels.ravel(), drawn, strict=False):
        draw(panel, data)
    return _style.caption(
        figure,
        "Errors measured on real data against the number of labelled rows, means and standard errors over "
        f"{data.sizes['instance']} pilots a cell.",
        "Second panel: excess error of a probe on k features; lines: its form for Gaussian features (dotted) and with "
        "the lengths of the features (solid)."
        if "form_mean" in data
        else "",
        "Beyond the paper.",
    )


def _lines(panel: Axes, part: xr.Dataset, name: str, axis: str, protocol: str) -> None:
    for method in part[protocol].values:
        one = part.sel({protocol: method})
        own, label = _style.look(method), NAMES.get(str(method)) or _style.look(method).label
        mean, error = one[f"{name}_mean"], one[f"{name}_standard_error"]
        style = {"fmt": f"{own.marker}-", "ms": 5, "lw": 1.4, "color": own.colour, "label": label}
        panel.errorbar(part[axis], mean, error, **style)
    panel.set(xscale="log", yscale="log", xlabel="labelled rows $n$")
    _plain(panel, part[axis].values)
    _below(panel, 3)


def _plain(panel: Axes, places: np.ndarray) -> None:
    """Both log axes with plain numbers: the places along x, and 1, 2, 5 of every decade along y."""
    panel.set_xticks(places, [f"{place:g}" for place in places])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())


def _below(panel: Axes, columns: int) -> None:
    """The panel's own keys, off its data."""
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns, columnspacing=1.0)


def _words(panel: Axes, data: xr.Dataset) -> None:
    known = data.words_mean.notnull().sum([dim for dim in data.words_mean.dims if dim != "words_features"])
    one = data.isel(words_features=int(np.argmax(known.values)), words_raters=-1)  # the width with most cells: n > k
    _lines(panel, one, "words", "words_samples", "words_protocol")
    panel.set_ylabel("error over the ratings' noise")
    panel.set_title(f"valence of words, {int(one.words_features)} features, {int(one.words_raters)} ratings a label")
    top = float(one.words_mean.sel(words_protocol="null").max())
    panel.set_ylim(0.8 * float(one.words_mean.min()), 1.5 * top)


def _form(panel: Axes, data: xr.Dataset) -> None:
    shades = _style.shades(data.sizes["form_features"] + 1)
    for i, width in enumerate(data.form_features.values):
        one, colour = data.isel(form_features=i), shades[i]
        style = {"fmt": "os^D"[i % 4], "color": colour, "label": f"k = {width}, measured"}
        panel.errorbar(one.words_ratio, one.form_mean, one.form_standard_error, **style)
        panel.plot(one.words_ratio, one.form_elliptical, "-", color=colour)
        panel.plot(one.words_ratio, one.form_gaussian, ":", color=colour)
    for line, name in (("-", "form with the features' lengths"), (":", "form for Gaussian features")):
        panel.plot([], [], line, color="0.3", label=name)
    panel.set(
        xscale="log", yscale="log", xlabel="rows per feature, n / k", ylabel="excess error of the probe / least error"
    )
    _plain(panel, data.words_ratio.values)
    _below(panel, 2)
    panel.set_title("the k-feature form")


def _elements(panel: Axes, data: xr.Dataset) -> None:
    one = data.isel(element_samples=-1)
    shades = _style.shades(data.sizes["element_property"] + 1)
    order = np.argsort(one.element_mean.isel(element_property=0).values)
    for i, name in enumerate(data.element_property.values):
        part = one.isel(element_property=i, representation=order)
        places, colour = np.arange(len(order)) + 0.15 * (2 * i - 1), shades[i]
        style = {"fmt": "os"[i % 2], "color": colour, "label": str(name).replace("_", " ")}
        panel.errorbar(part.element_mean, places, xerr=part.element_standard_error, **style)
        score = part.element_score.isel(element_score_name=0).mean("instance")
        panel.plot(score, places, "x", color=colour, label=f"{style['label']}, leave-one-out on the pilot")
    panel.set_yticks(range(len(order)), one.representation.values[order])
    panel.invert_yaxis()
    panel.set(xlabel="error / variance", title=f"elements, $n$ = {int(one.element_samples)}")
    _below(panel, 1)


def _digits(panel: Axes, data: xr.Dataset) -> None:
    _lines(panel, data, "digits", "digits_samples", "digits_protocol")
    panel.set(ylabel="test error (five outputs)", title="networks moved from digits 0-4 to 5-9")
