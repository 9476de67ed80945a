"""Every protocol at its best: risks and transferability against the angle, theory's optima as lines."""

import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

NAMES = {
    "scratch": "scratch, best weight decay",
    "linear_transfer": "linear transfer, best ridge",
    "fine_tuning": "fine-tuning, best stop",
    "l2sp": "L2-SP, end to end",
    "layerwise_l2sp": "L2-SP, layer by layer",
    "source_ridge": "ridge orthogonal to the source",
}


@_style.styled
def slices(data: xr.Dataset) -> Figure:
    """Top: tuned risks; bottom: what each saves over tuned scratch. One column a sample ratio."""
    figure, panels = _style.panels(2, data.sizes["sample_ratio"], 4.0, 3.3, sharex=True, sharey="row")
    for j, ratio in enumerate(data.sample_ratio.values):
        one = data.isel(sample_ratio=j)
        scratch = one.theory_tuned_curve.sel(protocol="scratch")
        names = list(map(str, data.protocol.values))
        for i, name in enumerate(names):
            at = data.theta + 0.015 * (i - (len(names) - 1) / 2)  # equal means are seen side by side
            own, colour = one.sel(protocol=name), _style.look(name).colour
            panels[0][j].plot(data.fine_angle, own.theory_tuned_curve, "-", color=colour, lw=1.3)
            risk = own.tuned_risk_mean, own.tuned_risk_standard_error
            _style.points(panels[0][j], at, *risk, name, label=NAMES[name])
            if name != "scratch":
                gain = own.tuned_transferability_mean, own.tuned_transferability_standard_error
                panels[1][j].plot(data.fine_angle, scratch - own.theory_tuned_curve, "-", color=colour, lw=1.3)
                _style.points(panels[1][j], at, *gain, name)
        panels[0][j].set(title=f"$n/d$ = {ratio:.3g}", ylim=(0, None))
        panels[1][j].axhline(0, color="k", lw=0.8)
        panels[1][j].set_xlabel(r"overlap angle $\theta$")
        _style.pi_ticks(panels[1][j].xaxis, float(data.theta.max()))
    panels[0][0].set_ylabel("excess risk $R$, tuned")
    panels[1][0].set_ylabel("saved over tuned scratch")
    _style.legend(figure, panels[0][0], ncols=3)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        "Every protocol at its best setting, against the overlap angle. Top: excess risk; bottom: what each saves over "
        f"tuned training from scratch. Points: trained networks, mean and standard error of {data.sizes['instance']} "
        f"instances ({data.attrs['title']}); settings are chosen on one half of them and judged on the other. Lines: "
        "theory's optima. Beyond the paper.",
    )
