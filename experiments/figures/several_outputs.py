"""Risk against sample ratio with several outputs: exact forms, and the sum over singular values where it fails."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style
from experiments.figures.phase_diagram import RATIO, finite

MARKS = "os^D"


@_style.styled
def slices(data: xr.Dataset) -> Figure:
    """One panel for linear transfer, one for fine-tuning; one colour a turn of the output vectors."""
    figure, (row,) = _style.panels(1, 2, 5.0, 3.9, sharey=True)
    shades, shown = _style.shades(data.sizes["turn"]), ["linear_transfer", "fine_tuning"]
    scratch = finite(data.theory_curve.sel(protocol="scratch").isel(turn=0))
    top = 1.25 * float(np.nanmax((data.risk_mean + data.risk_standard_error).sel(protocol=shown)))
    for panel, protocol in zip(row, shown, strict=True):
        own = data.sel(protocol=protocol)
        panel.plot(data.fine_ratio, scratch, "--", color="0.6", lw=1.2, label="scratch, theory")
        for i, turn in enumerate(data.turn.values):
            one = own.isel(turn=i)
            if i == 0 or protocol == "linear_transfer":
                panel.plot(data.fine_ratio, finite(one.theory_curve), "-", color="0.25", lw=1.5, label="theory")
            beside = 0.02 * (i - (data.sizes["turn"] - 1) / 2)  # equal means are seen side by side
            panel.errorbar(
                data.sample_ratio + beside, one.risk_mean, one.risk_standard_error, fmt=MARKS[i % len(MARKS)], ms=5,
                color=shades[i], capsize=2, label="shared output vectors" if turn == 0 else f"turned by {turn:.3g}",
            )  # fmt: skip
        panel.set(xlabel=RATIO, title=_style.look(protocol).label, ylim=(0, top))
    row[0].set_ylabel("excess risk, summed over outputs")
    _style.legend(figure, *row, ncols=5)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Excess risk of networks with several outputs against the samples per dimension. Points: trained networks, "
        f"mean and standard error of {data.sizes['instance']} instances ({data.attrs['title']}), by the angle between "
        "the output vectors of source and target. Lines: exact for linear transfer, a sum over singular values for "
        "fine-tuning, which holds where the output vectors are shared; dashed: exact for training from scratch. "
        "Beyond the paper.",
    )
