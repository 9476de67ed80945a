"""Advice on any pretrained Flax network from a labelled pilot: held-out errors of ridge regression on its features."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Real

from tlx import feature_scores
from tlx._checks import check_count, check_range, require
from tlx.planner import leave_one_out as loo
from tlx.planner import tangent
from tlx.planner.curves import curve_draws
from tlx.planner.held_out import FEW, FEW_BOUNDED, widening
from tlx.planner.network_answer import Curve, NetworkPlan
from tlx.planner.recommendation import choose

_DRAWS = 400
_ROUNDING = 1e-7  # of kernel entries in single precision
_LINEARISED = (
    "A linearised network is not a trained one: probe is what training the last layer with its best ridge gives, but "
    "fine_tuning and scratch are ridge regression on tangent features, which a network that learns features can beat."
)
_PSEUDO = "The kernels of fine-tuning and scratch are means over the outputs, not the full kernel of several outputs."


class _Pilot(NamedTuple):
    inputs: np.ndarray
    labels: np.ndarray  # (n, o) regression targets
    codes: np.ndarray | None  # (n,) integer classes
    base: np.ndarray | None  # (n, o) the network's predictions of the labels


def plan_network(
    model: Any,
    params: Any,
    inputs: Real[np.ndarray, "n ..."],
    labels: Real[np.ndarray, "n ..."],
    *,
    num_samples: int | None = None,
    sample_sizes: Real[np.ndarray, "sizes"] | None = None,
    classes: bool = False,
    head: str | None = None,
    fresh: Any = None,
    num_fresh: int = 3,
    tolerance: float = 0.05,
    confidence: float = 0.9,
    seed: int = 0,
) -> NetworkPlan:
    """Held-out error of each way to use a pretrained network, on the pilot and at other sample sizes, and advice.

    null: the mean label; zero_shot: the network as it is; probe: ridge regression on the inputs of the last layer;
    fine_tuning: ridge regression of what zero-shot misses on the tangent features at the pretrained weights; scratch:
    of the labels on the tangent features of untrained networks. Each has an unpenalised constant (zero-shot has not)
    and its best penalty; errors are exact leave-one-out, summed over outputs, label noise included.

    Args:
        model: a Flax linen module, a Flax nnx module (in evaluation mode), or a function (params, inputs) -> outputs.
        params: variables of the linen module, None for nnx, or the first argument of the function.
        inputs: (n, ...) pilot inputs, n >= 8. labels: (n,) or (n, o), as wide as the network's output; integer classes
            (n,) with `classes`, which are then regressed on as indicators, whatever the network's outputs.
        num_samples: rows to train on; None means the pilot's n.
        sample_sizes: sizes of the curves; None spans n/2 to 8 n (and twice `num_samples`).
        head: name of the last layer; None finds it (the last one in which the outputs are affine).
        fresh: key -> untrained weights; None uses the linen module's initialisers, else shuffles each array of weights.
        num_fresh: untrained networks over which scratch is averaged.
        tolerance: a method within this relative distance of the best error is as good as the best.
        confidence: least share of resamples that must support a method before it is recommended.
        seed: of the resampling and the untrained networks.

    Raises:
        ValueError: outputs that do not match the labels, non-finite numbers, constant labels, too few rows.

    Kernels are computed in blocks of gradients of at most 512 MB. Sources: Mohamadi, Bae, Sutherland 2023 (mean over
    outputs); `tlx.planner.leave_one_out` and `tlx.planner.curves` for the errors and the curves.
    """
    check_range("tolerance", tolerance, 0.0, 10.0)
    check_range("confidence", confidence, 0.5, 1.0, remedy="It is a share of resamples.")
    check_count("num_fresh", num_fresh)
    if num_samples is not None:
        check_count("num_samples", num_samples, 2)
    pilot, network = _prepare(model, params, inputs, labels, classes, fresh)
    count = len(pilot.labels)
    planned = count if num_samples is None else num_samples
    sizes = _sizes(sample_sizes, count, planned)
    layer = tangent.head_of(network, pilot.inputs, head)
    found = _methods(pilot, network, layer, np.append(sizes, float(planned)), num_fresh, seed)
    shares = _shares({name: one[0][:, -1] for name, one in found.items()}, tolerance)
    recommendation, leading, share = choose(shares, confidence)
    features = tangent.head_features(network, pilot.inputs, layer)
    notes = [_LINEARISED, f"Untrained networks were drawn {network.origin}."]
    return NetworkPlan(
        recommendation=recommendation,
        confidence=share,
        support=shares,
        leading=leading,
        num_samples=planned,
        num_pilot=count,
        sample_sizes=sizes,
        curves={name: _curve(draws[:, :-1], rows, penalty) for name, (draws, rows, penalty) in found.items()},
        planned={name: _quantiles(draws[:, -1]) for name, (draws, _, _) in found.items()},
        scores=_scores(pilot, network, features),
        num_features=features.shape[1],
        notes=tuple(notes if pilot.labels.shape[1] == 1 else [*notes, _PSEUDO]),
    )


def _prepare(model, params, inputs, labels, classes, fresh) -> tuple[_Pilot, tangent.Network]:
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    require(
        np.issubdtype(inputs.dtype, np.number) and not np.issubdtype(inputs.dtype, np.complexfloating),
        f"inputs have dtype {inputs.dtype}: real numbers are needed.",
    )
    require(inputs.ndim >= 1 and len(inputs) >= 8, f"inputs have shape {inputs.shape}: at least 8 rows are needed.")
    bad = np.argwhere(~np.isfinite(inputs))
    require(len(bad) == 0, f"inputs{list(map(int, bad[0])) if len(bad) else ''} is not finite: remove or impute it.")
    require(
        labels.ndim >= 1 and len(labels) == len(inputs),
        f"labels have shape {labels.shape} for {len(inputs)} rows of inputs: give one label a row.",
    )
    codes = None
    if classes:
        require(
            labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer),
            f"labels have dtype {labels.dtype} and shape {labels.shape}: with classes=True they are integers (n,).",
        )
        values, codes = np.unique(labels, return_inverse=True)
        labels = np.eye(len(values))[codes]
    targets = _targets(labels)
    inputs = inputs.astype(np.float32) if np.issubdtype(inputs.dtype, np.floating) else inputs
    network = tangent.resolve(model, params, inputs, fresh)
    base = tangent.outputs(network, inputs, None if classes else targets)
    return _Pilot(inputs, targets, codes, None if classes else base), network


def _targets(labels: np.ndarray) -> np.ndarray:
    """Regression targets (n, o) in float64."""
    require(
        np.issubdtype(labels.dtype, np.number) and not np.issubdtype(labels.dtype, np.complexfloating),
        f"labels have dtype {labels.dtype}: real numbers are needed (or integer classes with classes=True).",
    )
    require(labels.ndim <= 2, f"labels have shape {labels.shape}: a vector (n,) or a matrix (n, o) is needed.")
    targets = labels.reshape(len(labels), -1).astype(float)
    bad = np.argwhere(~np.isfinite(targets))
    require(len(bad) == 0, f"labels of row {bad[0][0] if len(bad) else 0} are not finite: remove or impute them.")
    require(bool(np.any(np.ptp(targets, axis=0) > 0)), "labels are constant: there is nothing to learn.")
    return targets


def _methods(pilot: _Pilot, network: tangent.Network, layer, sizes, num_fresh: int, seed: int) -> dict[str, tuple]:
    """name -> (draws of the error (draws, sizes), held-out residuals (n, o), penalty)."""
    import jax

    count = len(pilot.labels)
    weights = resampling(count, seed, FEW if pilot.codes is None else FEW_BOUNDED)
    ones = np.ones((count, 1))
    null = loo.unpenalised(ones, pilot.labels).residuals
    draws, rows, _ = _flat(null, weights, sizes)
    out = {"null": (draws * (1 + 1 / sizes) * (1 - 1 / count), rows, 0.0)}  # variance (1 + 1/N); held out: N = n - 1
    start = np.zeros_like(pilot.labels) if pilot.base is None else pilot.base
    if pilot.base is not None:
        out["zero_shot"] = _flat(pilot.labels - pilot.base, weights, sizes)

    def regression(kernel, targets, which):
        return curve_draws(loo.of_kernel(kernel, ones, _ROUNDING), targets, sizes, weights, (seed, which))

    last, whole = tangent.kernels(network, network.params, pilot.inputs, layer)
    out["probe"] = regression(last, pilot.labels, 0)
    out["fine_tuning"] = regression(whole, pilot.labels - start, 1)
    fresh = []
    for i in range(num_fresh):
        weights_now = network.fresh(jax.random.fold_in(jax.random.key(seed), i))
        fresh.append(regression(tangent.kernels(network, weights_now, pilot.inputs, layer)[1], pilot.labels, 2))
    draws, rows, penalties = zip(*fresh, strict=True)
    squares = np.sqrt(np.mean(np.square(rows), axis=0))  # residuals of the same mean square as the networks' on average
    out["scratch"] = (np.mean(draws, axis=0), squares, float(np.exp(np.mean(np.log(penalties)))))
    return out


def resampling(count: int, seed: int, few: int = FEW, num_draws: int = _DRAWS) -> np.ndarray:
    """Bootstrap weights of the rows for intervals: deviations widened by sqrt(2) times `held_out.widening(n, few)`.

    The sqrt(2) is for the pilot itself, which every method shares: one error varies with it, a comparison does not.
    """
    drawn = np.random.default_rng([seed, 4]).multinomial(count, np.full(count, 1 / count), num_draws) / count
    return 1 / count + np.sqrt(2) * widening(count, few) * (drawn - 1 / count)


def _flat(residuals: np.ndarray, weights: np.ndarray, sizes: np.ndarray) -> tuple:
    rows = np.sum(residuals**2, axis=1)
    means = np.maximum(weights @ rows, 1e-3 * np.mean(rows))
    return np.repeat(means[:, None], len(sizes), axis=1), residuals, 0.0


def _shares(errors: dict[str, np.ndarray], tolerance: float) -> dict[str, float]:
    table = np.stack(list(errors.values()))
    centre = np.median(table, axis=1, keepdims=True)
    table = centre + (table - centre) / np.sqrt(2)  # a comparison does not vary with the pilot as one error does
    near = table <= (1 + tolerance) * np.min(table, axis=0)
    order = ("zero_shot", "probe", "fine_tuning", "scratch", "null")
    shares = dict(zip(errors, map(float, np.mean(near, axis=1)), strict=True))
    return {name: shares[name] for name in order if name in shares}


def _curve(draws: np.ndarray, residuals: np.ndarray, penalty: float) -> Curve:
    rows = np.sum(residuals**2, axis=1)
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
    error = float(np.std(rows, ddof=1) / np.sqrt(len(rows)))
    return Curve(float(np.mean(rows)), error, penalty, middle, low, high)


def _quantiles(draws: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return float(middle), float(low), float(high)


def _sizes(sample_sizes, count: int, planned: int) -> np.ndarray:
    if sample_sizes is not None:
        sizes = np.sort(np.asarray(sample_sizes, dtype=float).ravel())
        require(
            len(sizes) > 0 and bool(np.all(np.isfinite(sizes))) and sizes[0] >= 2,
            "sample_sizes must be numbers of rows, at least one of them, each >= 2.",
        )
        return sizes
    return np.unique(np.round(np.geomspace(max(count / 2, 2), max(8.0 * count, 2.0 * planned), 24)))


def _scores(pilot: _Pilot, network: tangent.Network, features: np.ndarray) -> dict[str, float]:
    """Scores of the probe's features; of several outputs the mean."""
    columns = [column for column in pilot.labels.T if np.ptp(column) > 0]
    centred = features - features.mean(axis=0)
    shrunk = {"shrinkage": "ledoit_wolf"}
    tuned = loo.tune(loo.of_inputs(centred, np.ones((len(centred), 1))), pilot.labels)
    power = float(np.sum((pilot.labels - pilot.labels.mean(axis=0)) ** 2))
    out = {
        "overlap (share of label variance that the probe predicts, held out)": 1 - np.sum(tuned.row_errors) / power,
        "LogME": np.mean([feature_scores.log_me(centred, c - c.mean()) for c in columns]),
        "H-score (shrunk)": np.mean([feature_scores.h_score(features, c, **shrunk) for c in columns]),
        "linear MSE (held out)": np.mean(tuned.row_errors),
    }
    if pilot.codes is not None:
        found = tangent.outputs(network, pilot.inputs)
        if found.shape[1] > 1:
            probabilities = np.exp(found - found.max(axis=1, keepdims=True))
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            out["NCE"] = feature_scores.nce(found.argmax(axis=1), pilot.codes)
            out["LEEP"] = feature_scores.leep(probabilities, pilot.codes)
        out["TransRate"] = feature_scores.trans_rate(features, pilot.codes)
    return {name: float(value) for name, value in out.items()}
