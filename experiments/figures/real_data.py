"""The planner on real data: measured excess risk of each method per target, and how often the advice was right."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.figures import style as _style
from tlx.linear.setting import METHODS

UNDECIDED = "0.8"


@_style.styled
def page(found: dict[str, dict], pixels: tuple[tuple[int, int], ...], sizes: list[int], draws: int) -> Figure:
    """Top: risk against n for each target pixel (digits). Bottom: the advice given, digits and Gaussian copy."""
    count = len(pixels)
    figure, panels = plt.subplots(2, count, figsize=(2.7 * count, 7.0), sharex=True, sharey="row", layout="constrained")
    real = found["digits"]
    top = 2 * max(float(np.max(one.mean)) for one in real.values())
    for i, pixel in enumerate(pixels):
        _risks(panels[0, i], [real[i, j] for j in range(len(sizes))], sizes)
        panels[0, i].set_title(f"pixel {pixel}")
        _advice(panels[1, i], [real[i, j] for j in range(len(sizes))], sizes, draws)
        panels[1, i].set_xlabel("target rows $n$")
    low = min(float(np.min(one.mean)) for one in real.values())
    panels[0, 0].set(yscale="log", ylabel="excess test risk", ylim=(0.7 * max(low, 1e-6), top))
    panels[1, 0].set(ylabel="share of the pilots", ylim=(0, 1))
    handles, names = panels[0, 0].get_legend_handles_labels()
    handles += [Patch(color=UNDECIDED), Patch(facecolor="0.6", edgecolor="w", hatch="////")]
    names += ["undecided", "advice worse than the best by more than 5 %"]
    figure.legend(handles, names, loc="outside lower center", ncols=5)
    shares = []
    for name, cells in found.items():
        spoke, right = sum(c.spoke for c in cells.values()), sum(c.right for c in cells.values())
        shares.append(f"{name}: advice right in {right} of {spoke}")
    figure.suptitle("; ".join(shares))
    return _style.caption(
        figure,
        f"Handwritten digits, from the left half to one pixel of the right half; {draws} pilots a cell. Top: excess "
        "test risk of each protocol, mean and standard error. Bottom: what the planner advised; hatched where the "
        f"advised protocol was worse than the best by more than 5 %. {'; '.join(shares)}.",
    )


def _risks(panel: Axes, cells: list[Any], sizes: list[int]) -> None:
    for k, method in enumerate(METHODS):
        mean, error = [c.mean[k] for c in cells], [c.standard_error[k] for c in cells]
        line = "--" if method == "fine_tuning" else "-"  # beyond n = d it lies on scratch
        _style.points(panel, sizes, mean, error, method, ls=line, lw=1.3)
    panel.set_xscale("log")
    panel.set_xticks(sizes, [str(n) for n in sizes], rotation=90)
    panel.minorticks_off()


def _advice(panel: Axes, cells: list[Any], sizes: list[int], draws: int) -> None:
    """Stacked shares; hatched where the advised method was not the best within 5 %."""
    logs = np.log(np.asarray(sizes, float))
    half = 0.4 * (np.min(np.diff(logs)) if len(sizes) > 1 else 0.5)
    left, width = np.exp(logs - half), np.exp(logs + half) - np.exp(logs - half)
    base = np.zeros(len(sizes))
    for k, name in enumerate((*METHODS, "undecided")):
        share = np.array([c.advice[name] for c in cells]) / draws
        colour = UNDECIDED if name == "undecided" else _style.look(name).colour
        bars = panel.bar(left, share, width, bottom=base, align="edge", color=colour, edgecolor="w", lw=0.6)
        for bar, one in zip(bars, cells, strict=True):
            if name != "undecided" and not one.always[k]:
                bar.set(hatch="////", alpha=0.75)
        base += share
    panel.set_xscale("log")
    panel.set_xticks(sizes, [str(n) for n in sizes], rotation=90)
    panel.minorticks_off()
