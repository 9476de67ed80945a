"""A phase diagram as points for the explorer page, which shows them over its theory (docs/explorer/README.md)."""

import json

import numpy as np
import xarray as xr

from tlx.linear.setting import LinearSetting

SHOWN = ("scratch", "linear_transfer", "fine_tuning")  # protocols that the page knows


def points(setting: LinearSetting, data: xr.Dataset) -> str:
    """The JSON that the page loads: settings, and mean risk, standard error and instances of every measured cell."""
    rows = []
    for protocol in (name for name in SHOWN if name in data.protocol.values):
        own = data.sel(protocol=protocol)
        for i, theta in enumerate(data.theta.values):
            for j, ratio in enumerate(data.sample_ratio.values):
                mean, error = (float(own[f"risk_{name}"].values[i, j]) for name in ("mean", "standard_error"))
                if np.isfinite(mean) and np.isfinite(error):
                    count = int(own.usable_instances.values[i, j])
                    cell = {"protocol": protocol, "theta": float(theta), "ratio": float(ratio), "risk": mean}
                    rows.append({**cell, "error": error, "instances": count})
    population = setting.source_samples is None
    settings = {
        "noise": float(setting.noise_std),
        "depth": setting.depth,
        "targetNorm": float(setting.target_norm),
        "sourceNorm": float(setting.source_norm),
        "sourceRatio": None if population else setting.source_ratio,
        "sourceNoise": float(setting.source_noise_std),
    }
    title = data.attrs.get("title", "")
    return json.dumps({"format": "tlx-explorer-1", "title": title, "settings": settings, "points": rows})
