"""From the configuration of a nonlinear study to the frozen settings that tlx takes, checked before any compute."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from experiments.linear.setting import optimizer
from experiments.nonlinear import config as schemas
from experiments.running import grid as _grid
from experiments.running.study import UserError
from tlx import keys, nonlinear
from tlx.nonlinear import MeanField, Model, MultiLayer, NonlinearSetting
from tlx.nonlinear.teachers import check_amount
from tlx.train import Status

AMOUNT_NAMES = {"removal": "removed fraction μ", "rotation": "rotation angle θ", "mixture": "mixture angle θ"}


def model(config: schemas.NonlinearStudyConfig) -> Model:
    """The student network."""
    network, dim = config.network, config.task.dim
    if network.scaling is schemas.Scaling.mean_field:
        if network.depth != 2:
            raise UserError(
                f"network.depth = {network.depth} with network.scaling = mean_field: the mean-field network has two "
                "layers; set network.depth=2 or network.scaling=standard."
            )
        return MeanField(dim, network.width, network.activation.value, network.init_scale)
    if network.depth < 2:
        raise UserError(f"network.depth = {network.depth} leaves no hidden layer; use at least 2.")
    widths = (network.width,) * (network.depth - 1)
    return MultiLayer(dim, widths, network.activation.value, network.init_scale)


def setting(config: schemas.NonlinearStudyConfig, sizes: tuple[int, ...]) -> NonlinearSetting:
    """The frozen settings of a nonlinear study."""
    task, source = config.task, config.pretraining
    return NonlinearSetting(
        model=model(config),
        family=task.family.value,
        num_teacher_neurons=task.num_neurons,
        output_law=task.output_law.value,
        teacher_activation=task.activation.value,
        sizes=sizes,
        noise_std=task.noise_std,
        pretraining=source.loss.value,
        source_samples=source.num_samples,
        source_noise_std=source.noise_std,
        batch_size=source.batch_size,
        cutoff=config.linear_transfer.cutoff,
        ridge=config.linear_transfer.ridge,
        # every step is taken: how well the source was learned is what the study reports
        pretrain=dataclasses.replace(optimizer(config.optimizer, source), tolerance=0.0),
        scratch=optimizer(config.optimizer),
        fine_tune=optimizer(config.optimizer),
        num_test=config.num_test,
    )


def amounts(config: schemas.NonlinearStudyConfig, value: Any) -> np.ndarray:
    """grid.amounts: removed fractions or angles, each of which makes another source."""
    task = config.task
    removal = task.family is schemas.Family.removal
    top = 1 - 1 / task.num_neurons if removal else math.pi / 2
    values = _grid.axis("grid.amounts", value, top)
    for amount in values:
        check_amount(task.family.value, amount, task.num_neurons)
    if removal and len(set(np.rint(values * task.num_neurons).tolist())) != values.size:
        raise UserError(
            f"grid.amounts = {values.tolist()} removes the same number of {task.num_neurons} neurons twice; use "
            f"multiples of {1 / task.num_neurons:.4g}, or raise task.num_neurons."
        )
    return values


def sample_sizes(value: Any) -> np.ndarray:
    """grid.sample_sizes, increasing whole numbers."""
    values = _grid.axis("grid.sample_sizes", list(value), 0.0)
    if np.any(values < 1) or np.any(values != np.rint(values)):
        raise UserError(f"grid.sample_sizes = {list(value)} must hold whole numbers of at least 1.")
    return values.astype(np.int32)


def prepare(shared: Any, lane: dict[str, jax.Array]) -> Any:
    """Pretrain one source/target pair, as `ensemble.run_nested` takes it."""
    settings, key = shared
    key = keys.lane(key, lane["instance"])
    prepared, report = nonlinear.prepare(settings, key, lane["amount"])
    return (prepared, key), report


def transfer(shared: Any, prepared: Any, index: jax.Array) -> nonlinear.TransferReport:
    """Every transfer of one pair at one sample size."""
    return nonlinear.transfer(shared[0], prepared[1], prepared[0], index)


def scratch(shared: Any, lane: dict[str, jax.Array]) -> nonlinear.ScratchReport:
    """Training from scratch on one target sample."""
    return nonlinear.from_scratch(shared[0], keys.lane(shared[1], lane["instance"]), lane["index"])


def title(config: schemas.NonlinearStudyConfig) -> str:
    """The settings of a study in one line, for figures."""
    task, network = config.task, config.network
    kind = "mean-field" if network.scaling is schemas.Scaling.mean_field else f"depth {network.depth}"
    return (
        f"{kind} {network.activation.value}, width {network.width}, d = {task.dim}, "
        f"{task.num_neurons} teacher neurons, σ = {task.noise_std:g}"
    )


def status_notes(protocols: dict[str, np.ndarray]) -> list[str]:
    """What a reader must know about runs that did not converge."""
    lines = []
    for protocol, codes in protocols.items():
        short = float(np.mean(codes == Status.MAX_STEPS))
        failed = int(np.isin(codes, (Status.DIVERGED, Status.NON_FINITE)).sum())
        if short and protocol != "pretraining":
            lines.append(f"{protocol}: {100 * short:.1f} % of the runs used all their steps before the tolerance.")
        if failed:
            lines.append(f"{protocol}: {failed} runs diverged and are in no mean; lower optimizer.learning_rate.")
    return lines
