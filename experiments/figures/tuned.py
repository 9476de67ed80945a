"""Every protocol at its best: risks and transferability against the angle, theory's optima as lines."""

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

OWN = {"l2sp": "#8172b3", "layerwise_l2sp": "#55a868", "source_ridge": "#dd8452"}
NAMES = {
    "scratch": "scratch, best weight decay",
    "linear_transfer": "linear transfer, best ridge",
    "fine_tuning": "fine-tuning, best stop",
    "l2sp": "L2-SP, end to end",
    "layerwise_l2sp": "L2-SP, layer by layer",
    "source_ridge": "ridge orthogonal to the source",
}


def slices(data: xr.Dataset) -> Figure:
    """Top: tuned risks; bottom: what each saves over tuned scratch. One column a sample ratio."""
    count = data.sizes["sample_ratio"]
    figure, panels = plt.subplots(
        2, count, figsize=(4.0 * count + 0.6, 7.2), squeeze=False, sharex=True, layout="constrained"
    )
    for j, ratio in enumerate(data.sample_ratio.values):
        one = data.isel(sample_ratio=j)
        scratch = one.theory_tuned_curve.sel(protocol="scratch")
        for name in map(str, data.protocol.values):
            own, colour = one.sel(protocol=name), OWN.get(name) or _style.COLOURS[name]
            style = {"fmt": "o", "ms": 4, "color": colour, "capsize": 2}
            panels[0][j].plot(data.fine_angle, own.theory_tuned_curve, "-", color=colour, lw=1.3)
            panels[0][j].errorbar(
                data.theta, own.tuned_risk_mean, own.tuned_risk_standard_error, label=NAMES[name], **style
            )
            if name != "scratch":
                mean, error = own.tuned_transferability_mean, own.tuned_transferability_standard_error
                panels[1][j].plot(data.fine_angle, scratch - own.theory_tuned_curve, "-", color=colour, lw=1.3)
                panels[1][j].errorbar(data.theta, mean, error, **style)
        panels[0][j].set(title=f"n/d = {ratio:.3g}", ylim=(0, None))
        panels[1][j].axhline(0, color="k", lw=0.8)
        panels[1][j].set_xlabel("overlap angle θ")
        _style.pi_ticks(panels[1][j].xaxis, float(data.theta.max()))
    panels[0][0].set_ylabel("excess risk, tuned")
    panels[1][0].set_ylabel("saved over tuned scratch")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(
        f"{data.attrs['title']}   ({data.sizes['instance']} instances: chosen on one half, judged on the other)"
    )
    return figure
