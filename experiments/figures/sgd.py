"""Fine-tuning by mini-batches: risk and balance factor over time, one colour a batch size."""

import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

MARKS = "os^DvP"
NAMES = {"risk": "excess risk", "balance": "factor $c$"}


@_style.styled
def curves(data: xr.Dataset) -> Figure:
    """The first angle and sample ratio; lines: theory of the very steps, dotted: gradient flow."""
    one = data.isel(theta=0, sample_ratio=0)
    figure, (panels,) = _style.panels(1, 2, 5.2, 3.6)
    shades = _style.shades(data.sizes["batch_size"])
    for panel, (name, label) in zip(panels, NAMES.items(), strict=True):
        for i, size in enumerate(data.batch_size.values):
            own, colour, mark = one.sel(batch_size=size), shades[i], MARKS[i % len(MARKS)]
            mean, error = own[f"{name}_over_time_mean"], own[f"{name}_over_time_standard_error"]
            panel.plot(data.fine_time, own[f"theory_{name}"], "-", color=colour, lw=1.4)
            words = f"$B$ = {size}" if size else "whole sample"
            panel.errorbar(data.time, mean, error, fmt=mark, ms=4, color=colour, capsize=2, label=words)
        panel.plot(data.fine_time, one[f"flow_{name}"], "k:", lw=1.4, label="gradient flow")
        panel.set(xscale="log", xlabel="training time $t$", ylabel=label)
    _style.legend(figure, panels[0], ncols=4)
    theta, ratio = float(one.theta), float(one.sample_ratio)
    _style.heading(figure, f"{data.attrs['title']}, {_style.angle(theta)}, n/d = {ratio:.3g}")
    return _style.caption(
        figure,
        f"Fine-tuning by mini-batches of B rows, {data.sizes['instance']} instances ({data.attrs['title']}, angle "
        f"{theta:.3g}, n/d = {ratio:.3g}). Left: risk; right: the factor c on the part of the source outside the data. "
        "Points: trained networks with standard errors; lines: theory of the very steps with the noise of the batches; "
        "dotted: gradient flow. Beyond the paper.",
    )
