"""The tasks on which predictors of transfer are judged: those of the four claims, and the ensembles."""

import math
import zlib
from typing import NamedTuple

import numpy as np

from experiments.linear import setting as _linear
from experiments.nonlinear import setting as _nonlinear
from experiments.prediction.config import PredictorsConfig
from experiments.running.study import UserError
from tlx.nonlinear import NonlinearSetting

CLAIMS = ("norms", "sizes", "angles")  # (a), (b), (c)
ENSEMBLES = {
    "angle in [0, π/2]": "angles",
    "angle in [0, π]": "angles",
    "target norm": "norm ensemble",
    "noise and n": "noise and n ensemble",
    "all": "all",
}
HALF = "angle in [0, π/2]"
RATIO, ANGLE = 0.5, math.pi / 4  # where they do not vary
NORM_ANGLE = math.pi / 6  # of the ensemble of norms
POLE = 0.06  # ratios closer than this to n = d are not drawn: the mean risk has a pole there


class Task(NamedTuple):
    """One source/target task and sample size; `part` is the claim or ensemble it belongs to."""

    part: str
    theta: float
    norm: float
    noise: float
    num_samples: int

    @property
    def label(self) -> str:
        """The numbers in words: the task's coordinate and its identity."""
        return (
            f"{self.part}: θ = {self.theta:.6g}, |β_t| = {self.norm:.6g}, σ = {self.noise:.6g}, n = {self.num_samples}"
        )

    @property
    def draw(self) -> int:
        """Names the random draws: shared by an ensemble in which only one thing varies, the task's own where all do."""
        return zlib.crc32((self.label if self.part == "all" else self.part).encode()) & 0x7FFFFFFF


def linear(config: PredictorsConfig) -> list[Task]:
    """The linear tasks: claims (a), (b), (c), then the ensembles."""
    grid, dim, noise = config.grid, config.task.dim, config.task.noise_std
    _check(config)
    fixed = round(RATIO * dim)
    ratios = _linear.sample_ratios(grid.sample_ratios, dim)
    counts = _linear.sample_counts(ratios, dim)
    near = [ratio for ratio, count in zip(ratios, counts, strict=True) if abs(count - dim) <= 1]
    if near:
        raise UserError(f"grid.sample_ratios holds {near[0]:g}: the mean risk has a pole at n = d; leave it out.")
    tasks = [Task("norms", 0.0, float(c), noise, fixed) for c in grid.target_norms]
    tasks += [Task("sizes", ANGLE, 1.0, noise, int(n)) for n in counts]
    tasks += [Task("angles", float(t), 1.0, noise, fixed) for t in np.linspace(0, math.pi, grid.num_angles)]

    def size(random: np.random.Generator) -> int:
        below, above = (0.1, 1 - POLE), (1 + POLE, 1.8)
        width = below[1] - below[0]
        at = random.uniform(0, width + above[1] - above[0])
        count = max(round(dim * (below[0] + at if at < width else above[0] + at - width)), 4)
        return count if abs(count - dim) > 1 else dim - 2

    return tasks + _drawn(grid.ensemble_size, noise, fixed, size, config.seed)


def relu(config: PredictorsConfig) -> list[Task]:
    """The same ensembles for networks: theta turns every neuron of the teacher, n is one of relu.sizes."""
    part = config.relu
    noise, fixed = part.task.noise_std, part.fixed_size
    tasks = [Task("angles", float(t), 1.0, noise, fixed) for t in np.linspace(0, math.pi, config.grid.relu_angles)]
    return tasks + _drawn(
        config.grid.relu_ensemble_size, noise, fixed, lambda random: int(random.choice(part.sizes)), config.seed
    )


def relu_setting(config: PredictorsConfig) -> NonlinearSetting:
    """The frozen settings of the networks."""
    for part in ("task", "network"):
        chosen = getattr(config.relu, part).custom
        if chosen is not None:  # the distances between laws and the moments are those of two ReLU layers
            raise UserError(f"relu.{part}.custom = {chosen}: predictors takes its own networks; leave the key out.")
    sizes = tuple(_nonlinear.sample_sizes(config.relu.sizes).tolist())
    if config.relu.fixed_size not in sizes:
        raise UserError(f"relu.fixed_size = {config.relu.fixed_size} must be one of relu.sizes = {list(sizes)}.")
    return _nonlinear.setting(config.relu, sizes)


def _drawn(count: int, noise: float, fixed: int, size, seed: int) -> list[Task]:
    """The ensembles whose tasks are drawn; the i-th task does not depend on how many there are."""
    tasks = []
    for i in range(count):
        norm = float(np.geomspace(0.25, 4.0, count)[i]) if count > 1 else 1.0
        tasks.append(Task("norm ensemble", NORM_ANGLE, norm, noise, fixed))
    for i in range(count):
        random = np.random.default_rng([seed, 1, i])
        tasks.append(Task("noise and n ensemble", ANGLE, 1.0, _log_uniform(random, 0.05, 1.0), size(random)))
    for i in range(2 * count):
        random = np.random.default_rng([seed, 2, i])
        angle, norm = float(random.uniform(0, math.pi / 2)), _log_uniform(random, 1 / 3, 3.0)
        tasks.append(Task("all", angle, norm, _log_uniform(random, 0.05, 1.0), size(random)))
    return tasks


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def members(tasks: list[Task], ensemble: str) -> np.ndarray:
    """Which tasks belong to an ensemble, as a mask."""
    top = math.pi / 2 + 1e-9 if ensemble == HALF else np.inf
    return np.array([task.part == ENSEMBLES[ensemble] and task.theta <= top for task in tasks])


def columns(tasks: list[Task]) -> dict[str, np.ndarray]:
    """The tasks' numbers as arrays, as lanes take them."""
    return {
        "theta": np.array([task.theta for task in tasks], np.float32),
        "norm": np.array([task.norm for task in tasks], np.float32),
        "noise": np.array([task.noise for task in tasks], np.float32),
        "num_samples": np.array([task.num_samples for task in tasks], np.int32),
        "draw": np.array([task.draw for task in tasks], np.int32),
    }


def _check(config: PredictorsConfig) -> None:
    grid, task = config.grid, config.task
    if not grid.target_norms or min(grid.target_norms) <= 0 or len(set(grid.target_norms)) != len(grid.target_norms):
        raise UserError(f"grid.target_norms = {grid.target_norms} must hold positive numbers, each once.")
    least = {"num_angles": 5, "relu_angles": 5, "ensemble_size": 3, "relu_ensemble_size": 3, "sample_angles": 2}
    for name, needed in least.items():
        if getattr(grid, name) < needed:
            raise UserError(f"grid.{name} = {getattr(grid, name)}: at least {needed} are needed to rank anything.")
    if task.noise_std <= 0 or config.relu.task.noise_std <= 0:
        raise UserError("task.noise_std = 0: the divergences between noiseless tasks are infinite; use at least 0.01.")
    if task.target_norm != 1 or task.covariance.value != "isotropic":
        raise UserError("task.target_norm and task.covariance are not free here: norms are in grid.target_norms.")
    if config.network.depth < 2:
        raise UserError("network.depth = 1 learns no features; use at least 2.")
    if config.relu.task.family.value == "removal":
        raise UserError("relu.task.family = removal has no angle: use rotation or mixture.")
    if config.num_resamples < 10:
        raise UserError(f"num_resamples = {config.num_resamples} makes no interval; use at least 10.")
