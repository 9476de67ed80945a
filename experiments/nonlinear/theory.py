"""What is predicted of a nonlinear phase diagram: floor plus variance, the scratch power law, the boundary, signs."""

from typing import Any

import numpy as np
import xarray as xr

from tlx import stats

PUBLISHED_EXPONENT = -1.18
NUM_RESAMPLES = 400
INTERVAL = (2.5, 97.5)  # per cent


def predictions(config: Any, data: xr.Dataset) -> xr.Dataset:
    """Add theory, z, the fitted power law, the predicted gain and the boundary to a data set.

    Linear transfer on k kept features from n samples: out_of_space + (leverage + noise^2 k)/(n - k - 1), instance
    by instance; asymptotic in n/k. The scratch curve is the power law fitted to the mean scratch risk.
    """
    sizes = data.num_samples.values.astype(float)
    floor, count = data.out_of_space.values[:, None, :], data.num_features.values[:, None, :].astype(float)
    room = sizes[None, :, None] - count - 1
    spread = (data.leverage.values[:, None, :] + config.task.noise_std**2 * count) / np.maximum(room, 1)
    theory = np.where(room > 0, floor + spread, np.nan)
    linear = data.risk.sel(protocol="linear_transfer").values
    cell = ("amount", "num_samples")
    data["theory_linear_transfer"] = (cell, theory.mean(-1))
    data["floor"] = (("amount",), data.out_of_space.values.mean(-1))
    data["z"] = (cell, stats.z_score(stats.estimate(linear - theory), np.zeros(theory.shape[:2])))
    scratch = data.risk.sel(protocol="scratch").values[0]
    slope, offset = power_law(sizes, scratch)
    draws = bootstrap(sizes, scratch, config.seed)
    data["scratch_fit"] = (("num_samples",), np.exp(offset) * sizes**slope)
    data.attrs["exponent"] = slope
    data.attrs["exponent_low"], data.attrs["exponent_high"] = np.percentile(draws, INTERVAL).tolist()
    data["predicted_gain"] = (cell, data.scratch_fit.values[None, :] - data.theory_linear_transfer.values)
    data["predicted_gain_floor"] = (cell, data.scratch_fit.values[None, :] - data.floor.values[:, None])
    with np.errstate(divide="ignore"):
        data["boundary"] = (("amount",), (data.floor.values / np.exp(offset)) ** (1 / slope))
    return data


def power_law(sizes: np.ndarray, risks: np.ndarray) -> tuple[float, float]:
    """Slope and offset of log(mean risk) against log n; risks (n, instance); NaN with fewer than two means."""
    good = np.isfinite(risks)
    count = good.sum(-1)
    known = count > 0
    if known.sum() < 2:
        return np.nan, np.nan
    means = np.where(good, risks, 0.0).sum(-1)[known] / count[known]
    slope, offset = np.polyfit(np.log(sizes[known]), np.log(means), 1)
    return float(slope), float(offset)


def bootstrap(sizes: np.ndarray, risks: np.ndarray, seed: int) -> np.ndarray:
    """Slopes of the power law over resampled instances."""
    random = np.random.default_rng(seed)
    count = risks.shape[-1]
    picks = (risks[:, random.integers(count, size=count)] for _ in range(NUM_RESAMPLES))
    return np.array([power_law(sizes, pick)[0] for pick in picks])


def sign_share(data: xr.Dataset, name: str = "predicted_gain") -> tuple[float, int]:
    """Share of cells whose measured mean gain of linear transfer has the predicted sign, and how many are judged.

    Judged are the cells whose predicted gain is larger than the margin in size.
    """
    predicted = data[name].values
    measured = data.transferability.sel(protocol="linear_transfer").values
    far = np.isfinite(predicted) & (np.abs(predicted) > data.attrs["sign_margin"]) & np.isfinite(measured)
    right = np.sign(predicted[far]) == np.sign(measured[far])
    return (float(right.mean()) if far.any() else np.nan), int(far.sum())


def notes(data: xr.Dataset) -> list[str]:
    """The findings in words and numbers, those that contradict the published picture included."""
    share, cells = sign_share(data)
    data.attrs["sign_share"], data.attrs["sign_cells"] = share, cells
    bare, bare_cells = sign_share(data, "predicted_gain_floor")
    low, high = data.attrs["exponent_low"], data.attrs["exponent_high"]
    holds = "contains" if low <= PUBLISHED_EXPONENT <= high else "excludes"
    fit = data.scratch_fit.values
    mean = data.risk_mean.sel(protocol="scratch").values[0]
    worst = float(np.max(np.abs(np.log(fit / mean))))
    loss, held = data.source_loss.values, (data.out_of_space - data.out_of_span).values
    known, held = loss[np.isfinite(loss)], held[np.isfinite(held)]
    highest, middle = (known.max(), np.median(known)) if known.size else (np.nan, np.nan)
    spanned = held.mean() if held.size else np.nan
    return [
        f"pretraining: relative population loss at most {highest:.2g} (median {middle:.2g}), above 1e-3 in "
        f"{int(np.sum(known > 1e-3))} of {loss.size} pairs.",
        f"sign of the gain of linear transfer predicted right in {100 * share:.1f} % of {cells} cells with |predicted "
        f"gain| > {data.attrs['sign_margin']:g} (with the bare floor, without its variance: {100 * bare:.1f} % of "
        f"{bare_cells}).",
        f"scratch risk fits n^{data.attrs['exponent']:.2f} (95 % interval {low:.2f} to {high:.2f}), which {holds} the "
        f"published {PUBLISHED_EXPONENT}; the power law misses the measured curve by up to {100 * worst:.0f} %.",
        f"features that never trained hold {spanned:.3f} of the target's energy on average (span less learned space).",
    ]
