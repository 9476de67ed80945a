"""From risks, scores and distances of every task to the claims, the table of rank correlations and the text."""

import json
from typing import Any

import numpy as np
import xarray as xr

from experiments.prediction import linear as _linear_part
from experiments.prediction import rank_table as _rank_table
from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.prediction.rank_table import DISTANCES, MEASURES, METHODS, signed
from experiments.prediction.tasks import Task
from experiments.running import estimates as _estimates
from tlx import stats

RESOLUTION = 1e-5  # of a gain, in units of |beta_t|²: smaller ones are rounding
FINE = 4001
SIGNIFICANT = 2.0  # standard errors beyond which a measured sign is counted


def complete(config: PredictorsConfig, data: xr.Dataset) -> xr.Dataset:
    """Means, theory, the table and the notes added to the assembled data."""
    families = {"linear": tasks.linear(config), "relu": tasks.relu(config)}
    for family, every in families.items():
        _describe(data, family, every)
        _means(data, family, every)
    _theory(config, data, families["linear"])
    values = {
        "linear": np.concatenate([_linear_part.distances(config, families["linear"]), _scores(data, "linear")]),
        "relu": np.concatenate([np.mean(data.relu_distance.values, -1), _scores(data, "relu")]),
    }
    for family, table in values.items():
        data[f"{family}_value"] = (("measure", f"{family}_task"), table)
    _claims(config, data, families["linear"])
    _table(config, data, families, values)
    return data


def _describe(data: xr.Dataset, family: str, every: list[Task]) -> None:
    dim = f"{family}_task"
    for name, field in (("part", "part"), ("theta", "theta"), ("target_norm", "norm"), ("noise_std", "noise")):
        data.coords[f"{family}_{name}"] = (dim, np.array([getattr(task, field) for task in every]))
    data.coords[f"{family}_num_samples"] = (dim, np.array([task.num_samples for task in every]))


def _means(data: xr.Dataset, family: str, every: list[Task]) -> None:
    prefix, instance = f"{family}_", "instance" if family == "linear" else "relu_instance"
    _estimates.add(data, prefix, instance)
    gain = data[f"{prefix}transferability"]
    scale = np.array([task.norm**2 for task in every])[None, :] * RESOLUTION
    data[f"{prefix}transferability"] = (gain.dims, np.where(np.abs(gain.values) < scale, 0.0, gain.values))


def _scores(data: xr.Dataset, family: str) -> np.ndarray:
    """(4, task): overlap and the three scores, means over instances."""
    overlap = data[f"{family}_overlap"].values[None]
    return stats.estimate(np.concatenate([overlap, data[f"{family}_score"].values])).mean


def _theory(config: PredictorsConfig, data: xr.Dataset, every: list[Task]) -> None:
    column = {name: np.array([getattr(task, name) for task in every]) for name in Task._fields[1:]}
    exact = _linear_part.risks(config, column["theta"], column["norm"], column["noise"], column["num_samples"])
    data["linear_theory"] = (("protocol", "linear_task"), exact)
    data["linear_theory_transferability"] = (("protocol", "linear_task"), exact[:1] - exact)
    measured = stats.Estimate(*(data[f"linear_{n}"].values for n in ("risk_mean", "risk_standard_error")), 0)
    data["linear_z"] = (("protocol", "linear_task"), stats.z_score(measured, exact))
    dim = config.task.dim
    ratio = np.linspace(0.1, 1.8, FINE)
    away = np.abs(ratio - 1) > 1.5 / dim
    finite = _linear_part.risks(config, tasks.ANGLE, 1.0, config.task.noise_std, np.where(away, ratio, 0.5) * dim)
    limit = _linear_part.risks(config, tasks.ANGLE, 1.0, config.task.noise_std, ratio * dim, exact=False)
    data.coords["fine_ratio"] = ratio
    data["fine_transferability"] = ("fine_ratio", np.where(away, finite[0] - finite[1], np.nan))
    data.attrs["sign_changes_limit"] = _sign_changes(ratio, limit[0] - limit[1])
    data.attrs["sign_changes"] = _sign_changes(ratio, np.where(away, finite[0] - finite[1], np.inf))


def _sign_changes(ratio: np.ndarray, gain: np.ndarray) -> list[float]:
    """Where a curve crosses zero, by linear interpolation; a pole (inf) is positive."""
    size = np.clip(gain, -1e3, 1e3)
    at = np.flatnonzero(np.sign(size[:-1]) != np.sign(size[1:]))
    return [float(ratio[i] + (ratio[i + 1] - ratio[i]) * size[i] / (size[i] - size[i + 1])) for i in at]


def _claims(config: PredictorsConfig, data: xr.Dataset, every: list[Task]) -> None:
    part = {name: np.array([task.part == name for task in every]) for name in tasks.CLAIMS}
    data["dudley_lower"] = ("linear_task", np.full(len(every), np.nan))
    scaled = [task for task in every if task.part == "norms"]
    data["dudley_lower"].values[part["norms"]] = _linear_part.dudley_lower(scaled)
    found = _order_of_divergence(data, part["angles"])
    data.attrs["claim_c"] = json.dumps(found)
    sample, chosen = data.sample_distance.values, config.samples
    _estimates.put(data, ("sample_theta",), "sample_distance", stats.estimate(sample))
    data.attrs["claims"] = "\n".join(
        [
            _claim_a(data, part["norms"]),
            _claim_b(config, data, part["sizes"]),
            "(c) rank correlation of KL with T of linear transfer at fixed n and noise: "
            + "; ".join(f"{name}: {signed(value)}" for name, value in found.items())
            + ".",
            f"(d) W₁ between samples (n = {chosen.num_samples}, d = {chosen.dim}, l1): {np.nanmin(sample):.1f} to "
            f"{np.nanmax(sample):.1f} over all angles, {np.nanmean(sample[0]):.1f} for two samples of the same law; "
            f"the laws themselves are at most {np.sqrt(2 / np.pi) * 2:.2f} apart (Euclidean).",
        ]
    )


def _row(data: xr.Dataset, measure: str, mask: np.ndarray) -> np.ndarray:
    return data.linear_value.values[list(MEASURES).index(measure)][mask]


def _claim_a(data: xr.Dataset, mask: np.ndarray) -> str:
    gain = data.linear_transferability.sel(protocol="linear_transfer").values[mask]
    norm = data.linear_target_norm.values[mask]
    known = len(norm) > 1 and min(gain[-1], gain[-2]) > 0  # few instances can measure a gain below 0
    rise = f", like c^{np.log(gain[-1] / gain[-2]) / np.log(norm[-1] / norm[-2]):.2f} at the end" if known else ""
    divergence = _row(data, "kullback_leibler", mask)
    return (
        f"(a) targets c f, c = {norm[0]:g} to {norm[-1]:g}: KL {divergence[0]:.3g} to {divergence[-1]:.4g}, W₁ at most "
        f"{_row(data, 'wasserstein_1', mask)[-1]:.3g}, Dudley between {data.dudley_lower.values[mask][-1]:.3f} and "
        f"{_row(data, 'dudley', mask)[-1]:.3f} (its ceiling is 2); measured T of linear transfer {gain[0]:.3g} to "
        f"{gain[-1]:.4g}{rise}."
    )


def _claim_b(config: PredictorsConfig, data: xr.Dataset, mask: np.ndarray) -> str:
    linear = {"protocol": "linear_transfer"}
    gain = data.linear_transferability.sel(linear).values[mask]
    sure = np.abs(gain) > SIGNIFICANT * data.linear_transferability_standard_error.sel(linear).values[mask]
    right = np.sign(gain) == np.sign(data.linear_theory_transferability.sel(linear).values[mask])
    limit, finite = (", ".join(f"{x:.3f}" for x in data.attrs[k]) for k in ("sign_changes_limit", "sign_changes"))
    return (
        f"(b) one pair of laws (θ = π/4, KL = {_row(data, 'kullback_leibler', mask)[0]:.2f}): T of linear transfer "
        f"changes sign {len(data.attrs['sign_changes_limit'])} times, in the limit at n/d = {limit}, at "
        f"d = {config.task.dim} at {finite}; the measured sign is that of theory at {int((right & sure).sum())} of the "
        f"{int(sure.sum())} sizes where it is clear ({SIGNIFICANT:g} standard errors)."
    )


def _order_of_divergence(data: xr.Dataset, mask: np.ndarray) -> dict[str, float]:
    half = mask & (data.linear_theta.values <= np.pi / 2 + 1e-9)
    fields = {"measured": data.linear_transferability, "theory": data.linear_theory_transferability}
    found = {}
    for kind, field in fields.items():
        gain = field.sel(protocol="linear_transfer").values
        for name, chosen in (("[0, π/2]", half), ("[0, π]", mask)):
            value = _rank_table.spearman(_row(data, "kullback_leibler", chosen), gain[chosen])
            found[f"{kind} {name}"] = float(value)
    return found


def _table(config: PredictorsConfig, data: xr.Dataset, families: dict, values: dict[str, np.ndarray]) -> None:
    names, rows, intervals, said, theory = [], [], [], [], []
    for family, every in families.items():
        gains = data[f"{family}_transferability"].sel(protocol=list(METHODS)).values
        for ensemble in tasks.ENSEMBLES:
            mask = tasks.members(every, ensemble)
            name = f"{'ReLU' if family == 'relu' else family}: {ensemble}"
            table, interval = _rank_table.correlations(
                values[family][:, mask], gains[:, mask], config.num_resamples, config.seed
            )
            spread = _rank_table.ranks(values[family][:, mask])
            constant = np.ptp(spread, axis=1) == 0
            if np.all(np.isfinite(table)):
                said += _rank_table.sentences(name, table, interval[0], interval[1], constant)
            names.append(name)
            rows.append(table)
            intervals.append(interval)
            if family == "linear":
                known = data.linear_theory_transferability.sel(protocol=list(METHODS)).values[:, mask]
                theory.append(_rank_table.spearman(known, gains[:, mask]))
    table, interval = np.array(rows), np.array(intervals)
    dims = ("ensemble", "measure", "transfer")
    data.coords["ensemble"], data.coords["transfer"] = names, list(METHODS)
    data.coords["promise"] = ("measure", _rank_table.PROMISE)
    data["rank_correlation"] = (dims, table)
    data["rank_correlation_low"], data["rank_correlation_high"] = (dims, interval[:, 0]), (dims, interval[:, 1])
    padded = np.concatenate([theory, np.full((len(names) - len(theory), len(METHODS)), np.nan)])
    data["theory_rank_correlation"] = (("ensemble", "transfer"), padded)
    data.attrs["findings"] = "\n".join(_short(names, table, data))
    data.attrs["tables"] = json.dumps({"rank_correlation": _as_json(names, table, interval)})
    data.attrs["notes"] = "\n".join(
        [
            data.attrs["claims"],
            "",
            "Rank correlation with measured T, promise kept: +1 orders transfer perfectly the way the measure says "
            "(distances and error turned round), -1 the wrong way round.",
            *_rank_table.lines(names, table),
            "",
            *said,
            *_overall(names, table),
            "W₁ and Dudley (and W₂ between networks) stand for their population upper bounds, Rényi is of order 1/2; "
            f"MMD has a Gaussian kernel of width sqrt(d), for networks the unbiased MMD² of two samples of "
            f"{config.relu.num_nodes // 2} points. Scores see the target sample, distances the laws.",
        ]
    )


def _short(names: list[str], table: np.ndarray, data: xr.Dataset) -> list[str]:
    """What a terminal has room for: six sentences of one line."""
    changes, found = len(data.attrs["sign_changes_limit"]), json.loads(data.attrs["claim_c"])
    out = [
        f"One pair of data sets: the sign of transfer changes {changes} times as n grows.",
        f"KL orders transfer up to a right angle ({signed(found['measured [0, π/2]'])}), not beyond "
        f"({signed(found['measured [0, π]'])}).",
    ]
    whole = np.all(np.isfinite(table), (1, 2))
    kept = _rank_table.PROMISE[None, :, None] * table[whole]
    short = list(MEASURES.values())
    for j, method in enumerate(METHODS if whole.any() else ()):
        mean = kept[:, :, j].mean(0)
        top, first = int(np.argmax(mean)), int(np.argmax(mean[: len(DISTANCES)]))
        out.append(
            f"{_rank_table.WORDS[method]}: {short[top]} predicts best, mean rank correlation {signed(mean[top])}."
        )
        out.append(f"{_rank_table.WORDS[method]}: the best distance is {short[first]}, {signed(mean[first])}.")
    return out


def _as_json(names: list[str], table: np.ndarray, interval: np.ndarray) -> dict[str, Any]:
    def row(i: int, j: int) -> dict[str, list[float]]:
        return {
            key: [round(float(x), 4) for x in (table[i, k, j], interval[i, 0, k, j], interval[i, 1, k, j])]
            for k, key in enumerate(MEASURES)
        }

    return {name: {method: row(i, j) for j, method in enumerate(METHODS)} for i, name in enumerate(names)}


def _overall(names: list[str], table: np.ndarray) -> list[str]:
    """The mean and the worst case of the best of each kind, over all ensembles (those that are complete)."""
    whole = np.all(np.isfinite(table), (1, 2))
    if not whole.any():
        return []
    names, table = [name for name, there in zip(names, whole, strict=True) if there], table[whole]
    kept = _rank_table.PROMISE[None, :, None] * table
    keys, short = list(MEASURES), list(MEASURES.values())
    out = []
    for j, method in enumerate(METHODS):
        mean, worst = kept[:, :, j].mean(0), kept[:, :, j].min(0)
        top = int(np.argmax(mean))
        distance = int(np.argmax(mean[: len(DISTANCES)]))
        overlap = keys.index("feature_overlap")
        out.append(
            f"over all {len(names)} ensembles, {_rank_table.WORDS[method]}: the best mean is that of {short[top]}, "
            f"{signed(mean[top])} (its worst ensemble {signed(worst[top])}); the best distance {short[distance]}, "
            f"{signed(mean[distance])} ({signed(worst[distance])}); feature overlap {signed(mean[overlap])} "
            f"({signed(worst[overlap])})."
        )
    return out
