"""Held-out errors of every method on the pilot itself, by closed-form leave-one-out: no theory of inputs is used."""

import numpy as np

from tlx.planner import leave_one_out as loo
from tlx.planner._pilot import Pilot
from tlx.planner.leave_one_out import Tuned

_FLOOR = 1e-12
FEW = 60  # rows below which resampling squared errors says little (measured, benchmarks/planner_false_alarms.py)
FEW_BOUNDED = 20  # the same of errors of indicators of classes, which have no tail (measured, experiments.real_data)


def held_out(pilot: Pilot, depth: float | int) -> dict[str, Tuned]:
    """Leave-one-out residuals (n, 1) of each method that the pilot's pretrained part allows, at the pilot's size.

    scratch: least squares on the inputs (of minimum norm below n = d); linear_transfer: least squares on the source's
    predictions or the features; fine_tuning: the interpolant nearest to c times the source, c from the balance of the
    layers (`depth` of them); ridge_scratch, ridge_probe, l2_sp, source_ridge: ridge regression on the inputs, on the
    features, towards the source, and on what the source or the features leave, each at its best penalty of a grid;
    null: the mean label; source_as_is: the source's predictions plus a constant.
    """
    labels, constant, inputs = pilot.labels[:, None], pilot.constant, pilot.inputs
    known = _known(pilot)
    plain = loo.of_inputs(inputs, constant)
    beside = np.concatenate([constant, known], axis=1)
    rest = inputs if pilot.source is None else inputs - _along(pilot)[:, None] * _direction(pilot)
    out = {
        "scratch": loo.at_zero(plain, labels),
        "linear_transfer": loo.unpenalised(beside, labels),
        "ridge_scratch": loo.tune(plain, labels),
        "ridge_probe": loo.tune(loo.of_inputs(known, constant), labels),
        "source_ridge": loo.tune(loo.of_inputs(rest, beside), labels),
        "null": loo.unpenalised(constant, labels),
    }
    if pilot.source is not None:
        start = (inputs @ pilot.source)[:, None]
        scale = balance(inputs, pilot.labels, pilot.source, depth) if len(labels) <= inputs.shape[1] else 0.0
        out["fine_tuning"] = loo.at_zero(plain, labels - scale * start)
        out["l2_sp"] = loo.tune(plain, labels - start)
        out["source_as_is"] = loo.unpenalised(constant, labels - start)
    return out


def balance(inputs, labels, source, depth: float | int) -> float:
    """The factor c on what fine-tuning leaves of the source: c = (|beta|/q)^((L-1)/L).

    |beta|² = b + c² |(I-P) source|², b = |X^+ y|², q = |source|, P the projection onto the rows.
    Source: conservation of the layers' balance (exact for
    each data set; see `tlx.theory.fine_tuning_risk`). Depth 1 gives 1.
    """
    if depth <= 1:
        return 1.0
    gram = inputs @ inputs.T
    solved = np.linalg.lstsq(gram, np.stack([labels, inputs @ source], axis=1), rcond=1e-10)[0]
    fitted = float(labels @ solved[:, 0])
    power = float(source @ source)
    left = max(power - float((inputs @ source) @ solved[:, 1]), 0.0)
    low, high = np.log(1e-6), np.log(1e6)
    for _ in range(80):
        middle = (low + high) / 2
        square = np.exp(2 * middle * depth / (depth - 1)) * power
        low, high = (middle, high) if square < fitted + np.exp(2 * middle) * left else (low, middle)
    return float(np.exp(low))


def widening(count: int, few: int = FEW) -> float:
    """Factor on the deviations of resampled held-out means: sqrt(1 + (few/n)²).

    few: `FEW` rows, or `FEW_BOUNDED` where errors have no tail, as those of indicators of classes.

    The n fits share their rows, and a squared error has a heavy tail that few rows do not show, so that resamples of a
    small pilot vary less than pilots do. Found by measuring how often the advice was harmful, over pilots of 30 to 240
    rows outside every assumption (`benchmarks/planner_false_alarms.py`) and word vectors (`experiments.real_data`).
    """
    return float(np.sqrt(1 + (few / count) ** 2))


def resampled_means(table: np.ndarray, seed: int, num_draws: int = 2000) -> np.ndarray:
    """Means (draws, methods) of bootstrap resamples of the rows of `table` (n, methods), widened by `widening(n)`."""
    count = len(table)
    weights = np.random.default_rng([seed, 3]).multinomial(count, np.full(count, 1 / count), num_draws) / count
    centre = np.mean(table, axis=0)
    return centre + widening(count) * (weights @ table - centre)


def bootstrap_support(
    errors: dict[str, np.ndarray], noise: float, tolerance: float, seed: int, num_draws: int = 2000
) -> dict[str, float]:
    """Share of resamples of the rows (`resampled_means`) in which each method is the best or within `tolerance` of it.

    errors: name -> (n,) held-out squared errors; a method with a row that cannot be held out has no support.
    noise: a lower bound of the label noise that every error contains; the tolerance is relative to the best error less
        `noise`, so that a misfit that the noise estimate cannot tell from noise counts as error.
    """
    names = list(errors)
    table = np.stack([np.where(np.isfinite(errors[name]), errors[name], np.inf) for name in names], axis=1)
    usable = np.all(np.isfinite(table), axis=0)
    means = np.where(usable, resampled_means(np.where(usable, table, 0.0), seed, num_draws), np.inf)
    best = np.min(means, axis=1, keepdims=True)
    near = means <= best + tolerance * np.maximum(best - noise, _FLOOR)
    return dict(zip(names, map(float, np.mean(near & usable, axis=0)), strict=True))


def _known(pilot: Pilot) -> np.ndarray:
    return _along(pilot)[:, None] if pilot.features is None else pilot.features


def _direction(pilot: Pilot) -> np.ndarray:
    return pilot.source / np.linalg.norm(pilot.source)


def _along(pilot: Pilot) -> np.ndarray:
    return pilot.inputs @ _direction(pilot)
