"""One look for every figure: colours per method, fonts for a talk, PNG and PDF."""

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib.colors import TwoSlopeNorm

COLOURS = {
    "scratch": "#4d4d4d",
    "linear_transfer": "#c44e52",
    "fine_tuning": "#2f6fb0",
    "lp_ft": "#55a868",
    "ridge_transfer": "#dd8452",
}
LABELS = {
    "scratch": "scratch",
    "linear_transfer": "linear transfer",
    "fine_tuning": "fine-tuning",
    "lp_ft": "LP-FT",
    "ridge_transfer": "ridge transfer",
}
DIVERGING = "RdBu_r"

mpl.rcParams.update(
    {
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.labelsize": 12,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "figure.dpi": 100,
        "savefig.dpi": 160,
        "savefig.bbox": "tight",
        "pdf.fonttype": 42,
        "image.cmap": DIVERGING,
    }
)


def signed_norm(*fields: np.ndarray) -> TwoSlopeNorm:
    """A symmetric colour scale around zero that most cells fill (98th percentile), clipped beyond."""
    values = np.abs(np.concatenate([np.ravel(f)[np.isfinite(np.ravel(f))] for f in fields] or [np.ones(1)]))
    top = float(np.percentile(values, 98)) if values.size else 1.0
    top = top if top > 0 else 1.0
    return TwoSlopeNorm(0.0, -top, top)


def pi_ticks(axis, top: float) -> None:
    """Ticks of an angle axis in units of pi."""
    step = np.pi / 4 if top > np.pi / 2 + 1e-6 else np.pi / 8
    marks = np.arange(0, top + 1e-6, step)
    names = {0: "0", 1: "π/8", 2: "π/4", 3: "3π/8", 4: "π/2", 6: "3π/4", 8: "π"}
    axis.set_ticks(marks, [names.get(round(m / (np.pi / 8)), f"{m:.2f}") for m in marks])
