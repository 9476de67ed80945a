"""One look for every figure: a colour and a marker for each protocol, two sizes (talk, paper), symbols, captions.

Colours stay apart for readers with any of the three colour-vision deficiencies; markers say the same without colour.
"""

import functools
import re
import textwrap
from collections.abc import Callable
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from tlx.glossary import Protocol


class Look(NamedTuple):
    """How a protocol is drawn and called."""

    colour: str
    marker: str
    label: str


LOOKS = {
    Protocol.SCRATCH: Look("#2b2b2b", "o", "scratch"),
    Protocol.LINEAR_TRANSFER: Look("#d55e00", "s", "linear transfer"),
    Protocol.RIDGE_TRANSFER: Look("#edb120", "v", "ridge transfer"),
    Protocol.FINE_TUNING: Look("#0068b5", "^", "fine-tuning"),
    Protocol.LP_FT: Look("#12a37c", "D", "LP-FT"),
    Protocol.L2SP: Look("#7cc7f5", "P", "L2-SP"),
    Protocol.LAYERWISE_L2SP: Look("#d186b8", "X", "layerwise L2-SP"),
    Protocol.SOURCE_RIDGE: Look("#8a2be2", "<", "source ridge"),
    Protocol.LORA: Look("#7a2403", "*", "LoRA"),
}
OTHERS = {  # what the planner compares beside them
    "l2_sp": LOOKS[Protocol.L2SP],
    "ridge_scratch": Look("#8c8c8c", "p", "ridge regression"),
    "ridge_probe": LOOKS[Protocol.RIDGE_TRANSFER]._replace(label="probe, ridge"),
    "probe": LOOKS[Protocol.LINEAR_TRANSFER]._replace(label="probe"),
    "null": Look("#bbbbbb", "_", "mean label"),
    "source_as_is": Look("#7a5c3e", "h", "source as it is"),
}
DIVERGING = "RdBu_r"
NOTHING = "0.9"  # where nothing was measured
COLUMN, PAGE = 3.35, 6.9  # inches: one column of a paper, and two
FONT = {"talk": 11.0, "paper": 7.5}
PARTS = {"axes.titlesize": 0, "axes.labelsize": 0, "figure.titlesize": 0, "legend.fontsize": -1}  # against the font
TICKS = {"xtick.labelsize": -1, "ytick.labelsize": -1}
_style: ContextVar[str] = ContextVar("figure style", default="talk")

mpl.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
        "figure.dpi": 100,
        "savefig.dpi": 160,
        "pdf.fonttype": 42,
        "image.cmap": DIVERGING,
    }
)


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """A figure drawn in the style that its data set asks for in the attribute `figure_style` (talk where it is not).

    Layout and fonts are settled before it is handed back, so that what is saved is what was drawn.
    """

    @functools.wraps(function)
    def drawn(data: xr.Dataset, *rest: Any) -> Figure:
        name = str(getattr(data, "attrs", {}).get("figure_style", "talk"))
        font = FONT[name]
        rules = {"font.size": font} | {part: font + step for part, step in (PARTS | TICKS).items()}
        if name == "paper":
            thin = {"axes.linewidth": 0.6, "lines.linewidth": 1.0, "lines.markersize": 3.0}
            rules |= {"font.family": "STIXGeneral", "mathtext.fontset": "stix", "savefig.dpi": 300, **thin}
        token = _style.set(name)
        try:
            with mpl.rc_context(rules):
                figure = function(data, *rest)
                figure.draw_without_rendering()
                figure.set_layout_engine("none")  # else every format that is saved solves it again
        finally:
            _style.reset(token)
        return figure

    return drawn


def paper() -> bool:
    """Whether the figure being drawn is for a paper: of column width, its settings told by the caption alone."""
    return _style.get() == "paper"


def size(width: float, height: float) -> tuple[float, float]:
    """Inches of a figure that is so large in a talk: a paper's column or page width, in proportion."""
    if not paper():
        return width, height
    across = COLUMN if width <= 7.5 else PAGE
    return across, min(8.5, height * max(across / width, 0.62))


def panels(rows: int, columns: int, width: float = 3.6, height: float = 3.2, **options: Any) -> tuple[Figure, Any]:
    """A figure of rows x columns panels (always a 2-d array of them), each so many inches in a talk."""
    across, along = size(width * columns + 0.6, height * rows + 0.9)
    figure, found = plt.subplots(rows, columns, figsize=(across, along), squeeze=False, layout="constrained", **options)
    return figure, found


def heading(figure: Figure, text: str) -> None:
    """The settings above a talk's figure; a paper has them in the caption."""
    if not paper():
        letters = max(20, int(figure.get_figwidth() * 72 / (0.52 * FONT[_style.get()])))  # that fit the width
        lines = [line for part in text.split("\n") for line in textwrap.wrap(part, letters)]
        figure.suptitle("\n".join(map(typeset, lines)))


def caption(figure: Figure, *sentences: str) -> Figure:
    """Store what a figure shows with it: what, how many, which lines, and the paper's figure; shown under it."""
    figure.set_label(" ".join(sentence for sentence in sentences if sentence))
    return figure


def legend(figure: Figure, *sources: Any, ncols: int = 4) -> None:
    """One legend below all panels, off the data: every label of the given panels once."""
    found: dict[str, Any] = {}
    for source in sources:
        for handle, label in zip(*source.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    columns = min(2 if paper() else ncols, len(found))
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)


def look(name: str) -> Look:
    """How a protocol, or another method that the planner compares, is drawn, by its name."""
    return OTHERS[str(name)] if str(name) in OTHERS else LOOKS[Protocol(str(name))]


def points(panel: Any, x: Any, mean: Any, error: Any, protocol: str, **options: Any) -> None:
    """Means with standard errors in the colour and with the marker of their protocol."""
    own = look(protocol)
    style = {"fmt": own.marker, "color": own.colour, "ms": mpl.rcParams["lines.markersize"] * 0.75, "capsize": 2}
    panel.errorbar(x, mean, error, **{"label": own.label, "lw": 1.0, **style, **options})


def unfinished(panel: Any, x: Any, mean: Any, error: Any, colour: str) -> None:
    """Means of cells in which training was stopped by its number of steps: pale crosses, which no data have."""
    panel.errorbar(x, mean, error, fmt="x", color=colour, ms=5, lw=0.8, alpha=0.4, label="_unfinished")


TOKENS = {
    "|β_t|": r"$\|\beta_t\|$", "|β_s|": r"$\|\beta_s\|$", "n_s/d": "$n_s/d$", "σ_s": r"$\sigma_s$", "n/d": "$n/d$",
    "σ": r"$\sigma$", "θ": r"$\theta$", "α": r"$\alpha$", "μ": r"$\mu$",
}  # fmt: skip
PATTERN = re.compile("|".join([*map(re.escape, TOKENS), r"(?P<power>j\^-[\d.]+)", r"(?<!\w)(?P<letter>[dn])(?= = )"]))


def typeset(text: str) -> str:
    """Plain text with its symbols as mathematics: "d = 100, σ = 0.2"."""

    def one(found: re.Match) -> str:
        if found["power"]:
            return f"$j^{{{found['power'][2:]}}}$"
        return f"${found['letter']}$" if found["letter"] else TOKENS[found[0]]

    return PATTERN.sub(one, text)


def in_pi(value: float) -> str:
    """An angle in units of pi, as mathematics without dollar signs: a fraction where it is one."""
    part = Fraction(value / np.pi).limit_denominator(16)
    if value == 0:
        return "0"
    if abs(float(part) - value / np.pi) > 1e-6:
        return rf"{value / np.pi:.3g}\,\pi"
    above = r"\pi" if part.numerator == 1 else rf"{part.numerator}\pi"
    return above if part.denominator == 1 else f"{above}/{part.denominator}"


def angle(value: float) -> str:
    """An overlap angle as a panel's title has it."""
    return rf"$\theta = {in_pi(value)}$"


def pi_ticks(axis: Any, top: float) -> None:
    """Ticks of an angle axis in units of pi."""
    step = np.pi / 4 if top > np.pi / 2 + 1e-6 else np.pi / 8
    marks = np.arange(0, top + 1e-6, step)
    axis.set_ticks(marks, [f"${in_pi(mark)}$" for mark in marks])


def shades(count: int) -> np.ndarray:
    """Colours of an ordered quantity, dark to light, none too pale to read."""
    return plt.get_cmap("viridis")(np.linspace(0, 0.85, count))


def spread(count: int, most: int) -> list[int]:
    """At most so many indices, spread evenly over an axis."""
    return sorted(set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()))
