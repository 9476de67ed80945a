"""Risk against sample ratio with several outputs: exact forms, and the sum over singular values where it fails."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

TURNED = ("#2f6fb0", "#c44e52", "#55a868", "#dd8452")


@_style.styled
def slices(data: xr.Dataset) -> Figure:
    """One panel for linear transfer, one for fine-tuning; one colour a turn of the output vectors."""
    figure, (panels,) = _style.panels(1, 2, 5.0, 3.6)
    names = {"linear_transfer": "exact", "fine_tuning": "sum over singular values"}
    for panel, (protocol, line) in zip(panels, names.items(), strict=True):
        own = data.sel(protocol=protocol)
        for i, turn in enumerate(data.turn.values):
            one, colour = own.isel(turn=i), TURNED[i % len(TURNED)]
            curve = np.where(np.isfinite(one.theory_curve), one.theory_curve, np.nan)
            if i == 0 or protocol == "linear_transfer":
                panel.plot(data.fine_ratio, curve, "-", color="0.25", lw=1.5, label=line if i == 0 else None)
            panel.errorbar(
                data.sample_ratio, one.risk_mean, one.risk_standard_error, fmt="o", ms=5, color=colour, capsize=2,
                label="shared output vectors" if turn == 0 else f"turned by {turn:.3g}",
            )  # fmt: skip
        top = 1.25 * float(np.nanmax(own.risk_mean.values))
        panel.set(xlabel="samples per dimension $n/d$", title=_style.look(protocol).label, ylim=(0, top))
    panels[0].set_ylabel("excess risk, summed over outputs")
    _style.legend(figure, *panels, ncols=3)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        f"Excess risk summed over several outputs, {data.sizes['instance']} instances ({data.attrs['title']}). Points: "
        "trained networks with standard errors, one colour a turn of the target's output vectors. Left: the "
        "exact form of "
        "linear transfer, whatever the turn. Right: the sum over singular values, right where output vectors are "
        "shared. Beyond the paper.",
    )
