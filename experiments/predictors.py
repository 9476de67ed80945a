"""What predicts transfer? Distances between data sets, feature overlap and feature scores against trained networks.

python -m experiments.predictors [overrides]      (--help explains them)
"""

import math
from collections.abc import Callable

import numpy as np
import xarray as xr

from experiments.linear import setting as _linear
from experiments.linear.config import Engine
from experiments.linear.study import LinearStudy
from experiments.nonlinear import setting as _nonlinear
from experiments.prediction import findings as _findings
from experiments.prediction import linear as _linear_part
from experiments.prediction import relu as _relu_part
from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.prediction.rank_table import DISTANCES, MEASURES
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, UserError, Verdict
from tlx import discrepancy
from tlx.linear.setting import PROTOCOLS

OWN = {  # the axes of the three kinds of unit
    "linear_task": ("protocol", "score", "linear_task", "instance"),
    "relu_task": ("protocol", "score", "distance", "relu_task", "relu_instance"),
    "sample_theta": ("sample_theta", "repeat"),
}
PROBE = "relu linear_transfer"  # its status is that of pretraining, which takes every step
TASKS_PER_UNIT = {"linear_task": 24, "relu_task": 16}


class Predictors(LinearStudy):
    """What predicts transfer? Distances between data sets, feature overlap and feature scores (LogME, H-score, error of
    a linear probe) against trained linear and ReLU networks: four claims with their pictures, and a table of rank
    correlations with the measured gain of linear transfer and fine-tuning.
    """

    Config = PredictorsConfig
    apart = (("linear_task", "instance"), ("relu_task", "relu_instance"), ("sample_theta", "repeat"))

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import predictors

        return {"claims": predictors.claims, "rank_correlations": predictors.rank_correlations}

    def axes(self, config: PredictorsConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        if config.engine is Engine.full:
            raise UserError("engine = full: this study takes engine=flow or engine=spectral.")
        self.setting(config)
        tasks.relu_setting(config)
        if min(config.samples.dim, config.samples.num_samples, config.samples.repeats, config.relu.num_instances) < 1:
            raise UserError(
                "samples.dim, samples.num_samples, samples.repeats and relu.num_instances must be at least 1."
            )
        return {
            "protocol": np.asarray(PROTOCOLS),
            "score": np.asarray(_linear_part.SCORES),
            "distance": np.asarray(DISTANCES),
            "linear_task": np.asarray([task.label for task in tasks.linear(config)]),
            "instance": _grid.instances(config.ensemble),
            "relu_task": np.asarray([task.label for task in tasks.relu(config)]),
            "relu_instance": np.arange(config.relu.num_instances),
            "sample_theta": np.linspace(0, math.pi, config.grid.sample_angles),
            "repeat": np.arange(config.samples.repeats),
        }

    def places(self, config: PredictorsConfig) -> list[Place]:
        """Blocks of linear tasks, blocks of ReLU tasks, and the samples of claim (d); each without the others' axes."""
        every = self.axes(config)
        out = []
        for kind, own in OWN.items():
            others = {name: slice(0, 0) for name in every if name not in own}
            count = len(every[kind])
            size = TASKS_PER_UNIT.get(kind, count)
            out += [{**others, kind: slice(i, min(i + size, count))} for i in range(0, count, size)]
        return out

    def lanes(self, config: PredictorsConfig, place: Place) -> int:
        """Scratch, pretraining and fine-tuning per linear or ReLU pair; pairs of samples."""
        linear = _size(place, "linear_task") * config.ensemble.num_instances
        relu = _size(place, "relu_task") * config.relu.num_instances
        return 3 * (linear + relu) + _size(place, "sample_theta") * config.samples.repeats

    def compute(self, config: PredictorsConfig, place: Place, progress: Progress) -> Arrays:
        """Train the pairs of one unit and take every measure of them that needs the trained networks."""
        if _size(place, "sample_theta"):
            return {
                "sample_distance": (
                    ("sample_theta", "repeat"),
                    _sample_distances(config, self.axes(config)["sample_theta"], progress),
                )
            }
        family = "linear" if _size(place, "linear_task") else "relu"
        task, instance = f"{family}_task", "instance" if family == "linear" else "relu_instance"
        every = getattr(tasks, family)(config)
        if family == "linear":
            found = _linear_part.measure(config, every[place[task]], every, progress)
        else:
            found = _relu_part.measure(config, every[place[task]], progress)
        first = {
            "risk": ("protocol",),
            "status": ("protocol",),
            "overlap": (),
            "score": ("score",),
            "distance": ("distance",),
        }
        return {f"{family}_{name}": ((*first[name], task, instance), values) for name, values in found.items()}

    def finish(self, config: PredictorsConfig, data: xr.Dataset) -> xr.Dataset:
        """Means, theory, the claims, the table and the text that follows from it."""
        sizes = {name: len(values) for name, values in self.axes(config).items()}
        for family, instance in (("linear", "instance"), ("relu", "relu_instance")):  # a part that nobody computed yet
            shared = (f"{family}_task", instance)
            expected = {"risk": ("protocol",), "status": ("protocol",), "overlap": (), "score": ("score",)}
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
        data = _findings.complete(config, data.assign_coords(measure=list(MEASURES)))
        data.attrs["title"] = f"{_linear.title(config)}, {config.ensemble.num_instances} instances a task"
        data.attrs["dim"] = config.task.dim
        data.attrs["relu_title"] = f"{_nonlinear.title(config.relu)}, {config.relu.num_instances} instances a task"
        failed = _nonlinear.status_notes({name: codes for name, codes in self.statuses(data).items() if name != PROBE})
        data.attrs["notes"] = "\n".join([data.attrs["notes"], *failed])
        data.attrs["samples"] = f"n = {config.samples.num_samples}, d = {config.samples.dim}"
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors of the linear networks from the exact forms, over all their tasks."""

        def cell(at: tuple[int, ...]) -> str:
            return str(data.linear_task.values[at[0]])

        counts = data.linear_usable_instances.values
        fewest = [int(row[row > 0].min()) if row.any() else 0 for row in counts]
        return [Verdict(m, data.linear_z.values[i], cell, fewest[i]) for i, m in enumerate(PROTOCOLS)]

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the training runs of each protocol (linear transfer: of its pretraining)."""
        out = {}
        for family in ("linear", "relu"):
            for i, protocol in enumerate(PROTOCOLS):
                out[f"{family} {protocol}"] = data[f"{family}_status"].values[i]
        return out


def _size(place: Place, kind: str) -> int:
    return place[kind].stop - place[kind].start


def _sample_distances(config: PredictorsConfig, theta: np.ndarray, progress: Progress) -> np.ndarray:
    """W_1 (l1 ground metric) between a source and a target sample, by optimal assignment: (angle, repeat)."""
    chosen = config.samples
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


if __name__ == "__main__":
    main(Predictors)
