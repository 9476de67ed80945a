"""What further trained layers change: the risk beyond Theorem 3.9, and the factor c on what the data do not see."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.figures import style as _style

MARKS = "osD^vP"


@_style.styled
def bars(data: xr.Dataset) -> Figure:
    """Left: risk minus that of the published end of the same data; right: c. Points: trained, bars: exact form."""
    figure, ((left, right),) = _style.panels(1, 2, 5.2, 3.6)
    place = np.arange(data.sizes["trained"])
    pairs = [(i, j) for i in range(data.sizes["theta"]) for j in range(data.sizes["sample_ratio"])]
    shades = _style.shades(len(pairs))
    for k, (i, j) in enumerate(pairs):
        one, shift = data.isel(theta=i, sample_ratio=j), (k - (len(pairs) - 1) / 2) * 0.7 / len(pairs)
        colour, width, mark = shades[k], 0.6 / len(pairs), MARKS[k % len(MARKS)]
        name = f"{_style.angle(data.theta.values[i])}, $n/d$ = {data.sample_ratio.values[j]:.3g}"
        left.bar(place + shift, one.theory - one.theory_published, width, color=colour, alpha=0.35)
        for panel, what in ((left, "excess"), (right, "balance")):
            mean, error = one[f"{what}_mean"], one[f"{what}_standard_error"]
            panel.errorbar(place + shift, mean, error, fmt=mark, ms=5, color=colour, capsize=3, label=name)
    left.axhline(0, color="k", lw=0.8)
    right.axhline(1, color="k", lw=0.8)
    left.set(ylabel="excess risk − that of Theorem 3.9", title="bars: exact form, points: trained networks")
    right.set(ylabel="factor $c$", title="what is left of the source outside the data")
    for panel in (left, right):
        panel.set_xticks(place, [str(words).replace(" lora ", "\nLoRA,\nrank ") for words in data.trained.values])
        panel.set_xlabel("trained layers")
    _style.legend(figure, right, ncols=2)
    _style.heading(figure, data.attrs["title"])
    return _style.caption(
        figure,
        f"Which layers are trained, mean of {data.sizes['instance']} instances ({data.attrs['title']}); 1+2: layers 1 "
        "and 2 are trained, the others stay as pretrained; LoRA: a low-rank update of that layer alone. Left: excess "
        "risk beyond the end of Theorem 3.9 on the same data; bars: exact form, points: trained networks with standard "
        "errors. Right: the factor c on the part of the source that the data do not see; one trained layer has c = 1, "
        "and Theorem 3.9 is exact.",
    )
