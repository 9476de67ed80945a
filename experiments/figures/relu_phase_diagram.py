"""The nonlinear phase diagram: where transfer helps, slices with the fitted power law, and the floor."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from experiments.figures import heat as _heat
from experiments.figures import style as _style
from experiments.nonlinear.theory import PUBLISHED_EXPONENT

TRANSFERS = ("linear_transfer", "fine_tuning", "lp_ft")
AXIS = {
    "removal": r"removed fraction $\mu$",
    "rotation": r"rotation angle $\theta$",
    "mixture": r"mixture angle $\theta$",
    "custom": "amount",
}
RISK = r"excess risk / $\mathrm{E}\, f_t^2$"
MOST_TICKS = 6  # sample sizes named on an axis


@_style.styled
def diagram(data: xr.Dataset) -> Figure:
    """Measured transferability of three protocols; lines: where the fitted scratch curve crosses the prediction."""
    amount, sizes = data.amount.values, data.num_samples.values
    fields = {m: data.transferability.sel(protocol=m).values for m in TRANSFERS}
    norm = _heat.signed_norm(*fields.values())
    figure, (row,) = _style.panels(1, 3, 4.1, 3.9, sharex=True, sharey=True)
    left, right = (float(end[i]) for i, end in zip((0, -1), _heat.extents(amount), strict=True))
    low, high = (float(end[i]) for i, end in zip((0, -1), _heat.extents(sizes, log=True), strict=True))
    beyond = False
    for panel, method in zip(row, TRANSFERS, strict=True):
        mesh = _heat.mesh(panel, amount, sizes, fields[method], norm, log=True)
        beyond |= _heat.mark_beyond(panel, amount, sizes, fields[method], norm)
        panel.plot(amount, data.boundary, "k-", lw=1.8)
        field = data.predicted_gain.values
        if min(field.shape) > 1 and np.nanmin(field) < 0 < np.nanmax(field):
            panel.contour(amount, sizes, field.T, levels=[0.0], colors="k", linestyles="dashed", linewidths=1.3)
        panel.set(yscale="log", xlim=(left, right), ylim=(low, high), xlabel=AXIS[data.attrs["family"]])
        panel.set_title(_style.look(method).label)
        _size_ticks(panel.yaxis, sizes)
    row[0].set_ylabel("target samples $n$")
    _heat.bar(figure, mesh, row, "$T$ = $R$(scratch) − $R$(transfer)")
    handles = [
        _heat.boundary_key(r"scratch fit = floor $\|P_\perp f_t\|^2$"),
        _heat.boundary_key("scratch fit = floor + variance", "--"),
        *([_heat.beyond_key()] if beyond else []),
        *([_heat.nothing_key()] if _heat.gaps(amount, sizes, log=True) else []),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if _style.paper() else 3)
    _style.heading(figure, _settings(data))
    share, cells = data.attrs["sign_share"], data.attrs["sign_cells"]
    return _style.caption(
        figure,
        "Transferability of nonlinear networks over the difficulty of the task and the size of the target sample, mean "
        f"of {data.sizes['instance']} instances a cell ({_settings(data)}). Lines: where the fitted scratch curve "
        "meets the energy outside the learned space (full), and that plus its variance (dashed). The second predicts "
        f"the sign of linear transfer in {100 * share:.0f} % of {cells} cells. Compare Figure 3 of the paper.",
    )


def _settings(data: xr.Dataset) -> str:
    """Settings a reader needs, in one line."""
    return f"{data.attrs['title']}, cut-off {data.attrs['cutoff']:g}"


def _size_ticks(axis, sizes: np.ndarray) -> None:
    """Sample sizes on a log axis, not more of them than can be read."""
    chosen = sizes[_style.spread(len(sizes), MOST_TICKS)]
    axis.set_ticks(chosen, [str(n) for n in chosen])
    axis.set_minor_locator(NullLocator())


@_style.styled
def slices(data: xr.Dataset) -> Figure:
    """Risk against n at up to four difficulties, with floor plus variance and the fitted power law."""
    chosen = _style.spread(data.sizes["amount"], 4)
    figure, (row,) = _style.panels(1, len(chosen), 3.7, 3.8, sharex=True, sharey=True)
    for panel, at in zip(row, chosen, strict=True):
        _slice(panel, data.isel(amount=at))
        panel.set_title(f"{AXIS[data.attrs['family']]} = {data.amount.values[at]:.3g}")
    row[0].set_ylabel(RISK)
    low, high = data.attrs["exponent_low"], data.attrs["exponent_high"]
    fit = rf"fit $n^{{{data.attrs['exponent']:.2f}}}$"
    looks = [_style.look(str(name)) for name in data.protocol.values]
    handles = [Line2D([], [], ls="", marker=look.marker, color=look.colour, label=look.label) for look in looks]
    handles += [
        Line2D([], [], color=_style.look("scratch").colour, lw=1.2, label=fit),
        Line2D([], [], color="0.5", ls=":", lw=1.2, label=f"published $n^{{{PUBLISHED_EXPONENT}}}$"),
        Line2D([], [], color=_style.look("linear_transfer").colour, label="floor + variance"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if _style.paper() else 4)
    _style.heading(figure, _settings(data))
    return _style.caption(
        figure,
        f"Excess risk against the size of the target sample at {len(chosen)} difficulties. Points: trained networks, "
        f"mean and standard error of {data.sizes['instance']} instances ({_settings(data)}). Lines: the energy outside "
        "the learned space plus variance, the power law fitted to scratch training (exponent "
        f"{data.attrs['exponent']:.2f}, 95 % interval {low:.2f} to {high:.2f}) and the published one (dotted). Compare "
        "the slices in Figure 3 of the paper.",
    )


def _slice(panel: Axes, row: xr.Dataset) -> None:
    sizes = row.num_samples.values
    for method in row.protocol.values:
        one = row.sel(protocol=str(method))
        _style.points(panel, sizes, one.risk_mean, one.risk_standard_error, str(method))
    panel.plot(sizes, row.scratch_fit, "-", color=_style.look("scratch").colour, lw=1.2)
    published = row.scratch_fit.values[0] * (sizes / sizes[0]) ** PUBLISHED_EXPONENT
    panel.plot(sizes, published, ":", color="0.5", lw=1.2)
    panel.plot(sizes, row.theory_linear_transfer, color=_style.look("linear_transfer").colour, lw=1.5)
    panel.set(xscale="log", yscale="log", xlabel="target samples $n$")
    _size_ticks(panel.xaxis, sizes)


@_style.styled
def out_of_space(data: xr.Dataset) -> Figure:
    """The target's energy outside the learned space against difficulty: at the cut-off, in the span, and measured."""
    figure, ((panel,),) = _style.panels(1, 1, 6.8, 4.4)
    amount, last = data.amount.values, data.isel(num_samples=-1)
    linear, ridge = (_style.look(f"{kind}_transfer").colour for kind in ("linear", "ridge"))
    cutoff = f"outside the features above cut-off {data.attrs['cutoff']:g}"
    panel.plot(amount, data.floor, "-", color=linear, label=cutoff)
    panel.plot(amount, data.out_of_span_mean, "k:", label="outside the whole span, untrained features too")
    panel.plot(amount, data.ridge_floor_mean, "--", color=ridge, label="ridge transfer, infinite data")
    for method in ("linear_transfer", "ridge_transfer"):
        one = last.sel(protocol=method)
        label = f"{_style.look(method).label}, $n$ = {int(last.num_samples)}"
        _style.points(panel, amount, one.risk_mean, one.risk_standard_error, method, label=label)
    panel.set(xlabel=AXIS[data.attrs["family"]], ylabel=r"energy / $\mathrm{E}\, f_t^2$", ylim=(0, None))
    _style.legend(figure, panel, ncols=1 if _style.paper() else 2)
    _style.heading(figure, _settings(data))
    return _style.caption(
        figure,
        "The target's energy outside the learned space against the difficulty of the task. Lines: means of "
        f"{data.sizes['instance']} instances ({_settings(data)}). Points: measured risk of linear and ridge transfer "
        "at the largest sample, with standard errors. Compare the out-of-space norm in Figure 3 of the paper.",
    )
