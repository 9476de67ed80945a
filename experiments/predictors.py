"""What predicts transfer? Distances between data sets, feature overlap and feature scores against trained networks.

python -m experiments.predictors [overrides]      (--help explains them)

Draws the four claims about distances, each measured on trained networks with theory over it, and a table of rank
correlations between every measure and the measured gain of linear transfer and fine-tuning, for linear and ReLU
networks.
"""

import math
from collections.abc import Callable

import numpy as np
import xarray as xr

from experiments.figures import predictors as figures
from experiments.linear import setting as _linear
from experiments.linear.config import Engine
from experiments.nonlinear import setting as _nonlinear
from experiments.prediction import findings as _predictor_findings
from experiments.prediction import linear as _predictors_linear
from experiments.prediction import relu as _predictors_relu
from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.prediction.rank_table import DISTANCES, MEASURES
from experiments.running import app as _app
from experiments.running.store import Arrays
from experiments.running.study import Place, Study, UserError, Verdict
from tlx import discrepancy
from tlx.linear.setting import METHODS

OWN = {  # the axes of the three kinds of unit
    "linear_task": ("method", "score", "linear_task", "instance"),
    "relu_task": ("method", "score", "distance", "relu_task", "relu_instance"),
    "sample_theta": ("sample_theta", "repeat"),
}
PROBE = "relu linear_transfer"  # its status is that of pretraining, which takes every step
TASKS_PER_UNIT = {"linear_task": 24, "relu_task": 16}


def axes(config: PredictorsConfig) -> dict[str, np.ndarray]:
    """Coordinates, and with them every check of the configuration."""
    if config.engine is Engine.full:
        raise UserError("engine = full: this study takes engine=flow or engine=spectral.")
    _linear.check_engine(config)
    tasks.relu_setting(config)
    if min(config.samples.dim, config.samples.num_samples, config.samples.repeats, config.relu.num_instances) < 1:
        raise UserError("samples.dim, samples.num_samples, samples.repeats and relu.num_instances must be at least 1.")
    return {
        "method": np.asarray(METHODS),
        "score": np.asarray(_predictors_linear.SCORES),
        "distance": np.asarray(DISTANCES),
        "linear_task": np.asarray([task.label for task in tasks.linear(config)]),
        "instance": _linear.instances(config.ensemble),
        "relu_task": np.asarray([task.label for task in tasks.relu(config)]),
        "relu_instance": np.arange(config.relu.num_instances),
        "sample_theta": np.linspace(0, math.pi, config.grid.sample_angles),
        "repeat": np.arange(config.samples.repeats),
    }


def places(config: PredictorsConfig) -> list[Place]:
    """Blocks of linear tasks, blocks of ReLU tasks, and the samples of claim (d); each without the others' axes."""
    every = axes(config)
    out = []
    for kind, own in OWN.items():
        others = {name: slice(0, 0) for name in every if name not in own}
        count = len(every[kind])
        size = TASKS_PER_UNIT.get(kind, count)
        out += [{**others, kind: slice(i, min(i + size, count))} for i in range(0, count, size)]
    return out


def _size(place: Place, kind: str) -> int:
    return place[kind].stop - place[kind].start


def lanes(config: PredictorsConfig, place: Place) -> int:
    """Scratch, pretraining and fine-tuning per linear or ReLU pair; pairs of samples."""
    linear = _size(place, "linear_task") * config.ensemble.num_instances
    relu = _size(place, "relu_task") * config.relu.num_instances
    return 3 * (linear + relu) + _size(place, "sample_theta") * config.samples.repeats


def compute(config: PredictorsConfig, place: Place, progress: Callable[[int], None]) -> Arrays:
    """Train the pairs of one unit and take every measure of them that needs the trained networks."""
    if _size(place, "sample_theta"):
        return {"sample_distance": (("sample_theta", "repeat"), _sample_distances(config, progress))}
    family = "linear" if _size(place, "linear_task") else "relu"
    task, instance = f"{family}_task", "instance" if family == "linear" else "relu_instance"
    every = getattr(tasks, family)(config)
    if family == "linear":
        found = _predictors_linear.measure(config, every[place[task]], every, progress)
    else:
        found = _predictors_relu.measure(config, every[place[task]], progress)
    first = {"risk": ("method",), "status": ("method",), "overlap": (), "score": ("score",), "distance": ("distance",)}
    return {f"{family}_{name}": ((*first[name], task, instance), values) for name, values in found.items()}


def _sample_distances(config: PredictorsConfig, progress: Callable[[int], None]) -> np.ndarray:
    """W_1 (l1 ground metric) between a source and a target sample, by optimal assignment: (angle, repeat)."""
    theta, chosen = axes(config)["sample_theta"], config.samples
    out = np.full((len(theta), chosen.repeats), np.nan)
    for i, angle in enumerate(theta):
        for j in range(chosen.repeats):
            random = np.random.default_rng([config.seed, 4, i, j])
            points = []
            for beta in ((1.0, 0.0), (math.cos(angle), math.sin(angle))):
                x = random.standard_normal((chosen.num_samples, chosen.dim))
                noise = config.task.noise_std * random.standard_normal(chosen.num_samples)
                points.append(discrepancy.joint_points(x, x[:, :2] @ np.array(beta) + noise))
            out[i, j] = discrepancy.wasserstein_sample(source=points[0], target=points[1], metric="cityblock")
            progress(i * chosen.repeats + j + 1)
    return out


def finish(config: PredictorsConfig, data: xr.Dataset) -> xr.Dataset:
    """Means, theory, the claims, the table and the text that follows from it."""
    sizes = {name: len(values) for name, values in axes(config).items()}
    for family, instance in (("linear", "instance"), ("relu", "relu_instance")):  # a part that nobody computed yet
        shared = (f"{family}_task", instance)
        expected = {"risk": ("method",), "status": ("method",), "overlap": (), "score": ("score",)}
        if family == "relu":
            expected["distance"] = ("distance",)
        for name, first in expected.items():
            if f"{family}_{name}" not in data:
                dims = (*first, *shared)
                empty = np.full([sizes[d] for d in dims], -1 if name == "status" else np.nan)
                data[f"{family}_{name}"] = (dims, empty)
    if "sample_distance" not in data:
        data["sample_distance"] = (
            ("sample_theta", "repeat"),
            np.full((sizes["sample_theta"], sizes["repeat"]), np.nan),
        )
    data = _predictor_findings.complete(config, data.assign_coords(measure=list(MEASURES)))
    data.attrs["title"] = f"{_linear.title(config)}   ({config.ensemble.num_instances} instances a task)"
    data.attrs["dim"] = config.task.dim
    data.attrs["relu_title"] = f"{_nonlinear.title(config.relu)}, {config.relu.num_instances} instances a task"
    failed = _nonlinear.status_notes({name: codes for name, codes in statuses(data).items() if name != PROBE})
    data.attrs["notes"] = "\n".join([data.attrs["notes"], *failed])
    data.attrs["samples"] = f"n = {config.samples.num_samples}, d = {config.samples.dim}"
    return data


def verdicts(data: xr.Dataset) -> list[Verdict]:
    """Standard errors of the linear networks from the exact forms, over all their tasks."""

    def cell(at: tuple[int, ...]) -> str:
        return str(data.linear_task.values[at[0]])

    counts = data.linear_usable_instances.values
    fewest = [int(row[row > 0].min()) if row.any() else 0 for row in counts]
    return [Verdict(m, data.linear_z.values[i], cell, fewest[i]) for i, m in enumerate(METHODS)]


def statuses(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Status codes of the training runs of each method (linear transfer: of its pretraining)."""
    out = {}
    for family in ("linear", "relu"):
        for i, method in enumerate(METHODS):
            out[f"{family} {method}"] = data[f"{family}_status"].values[i]
    return out


STUDY = Study(
    name="predictors",
    axes=axes,
    places=places,
    lanes=lanes,
    compute=compute,
    finish=finish,
    verdicts=verdicts,
    statuses=statuses,
    figures={"claims": figures.claims, "rank_correlations": figures.rank_correlations},
)

if __name__ == "__main__":
    _app.main("predictors")
