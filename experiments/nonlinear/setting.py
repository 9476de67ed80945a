"""From the configuration of a nonlinear study to the frozen settings that tlx takes, checked before any compute."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
from flax import linen

from experiments.linear.setting import optimizer
from experiments.nonlinear import config as schemas
from experiments.running import custom as _custom
from experiments.running import grid as _grid
from experiments.running.study import UserError
from tlx.nonlinear import FlaxModel, MeanField, Model, MultiLayer, NonlinearSetting, Task, TeacherTask
from tlx.nonlinear.checks import check_amounts, check_model, check_task
from tlx.train import Status

AMOUNT_NAMES = {"removal": "removed fraction μ", "rotation": "rotation angle θ", "mixture": "mixture angle θ"}
AMOUNT_NAMES |= {"custom": "amount"}
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU"}  # as readers write them


def model(config: schemas.NonlinearStudyConfig) -> Model:
    """The student network."""
    network, dim = config.network, config.task.dim
    if network.custom is not None:
        return _own_model(config)
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


def _own_model(config: schemas.NonlinearStudyConfig) -> Model:
    """The network that network.custom names; a Flax linen module is taken for one on rows of task.dim numbers."""
    network, dim = config.network, config.task.dim
    options = {"dim": dim, "width": network.width, "depth": network.depth, "init_scale": network.init_scale}
    made = _custom.make("network.custom", network.custom, options | {"activation": network.activation.value})
    own = FlaxModel(made, (dim,)) if isinstance(made, linen.Module) else made
    try:
        check_model(own)
    except ValueError as error:
        raise UserError(f"network.custom = {network.custom}: {error}") from error
    if config.task.custom is None and own.dim != dim:
        raise UserError(
            f"task.dim = {dim}, but the network of network.custom = {network.custom} takes {own.dim} numbers; set "
            f"task.dim={own.dim}."
        )
    return own


def task(config: schemas.NonlinearStudyConfig) -> Task | None:
    """The task that task.custom names, None for teachers."""
    own = config.task
    if own.custom is None:
        return None
    options = {"dim": own.dim, "num_neurons": own.num_neurons, "family": own.family.value}
    options |= {"output_law": own.output_law.value, "activation": own.activation.value}
    made = _custom.make("task.custom", own.custom, options)
    try:
        check_task(made)
    except ValueError as error:
        raise UserError(f"task.custom = {own.custom}: {error}") from error
    return made


def setting(config: schemas.NonlinearStudyConfig, sizes: tuple[int, ...]) -> NonlinearSetting:
    """The frozen settings of a nonlinear study."""
    teachers, source = config.task, config.pretraining
    return NonlinearSetting(
        model=model(config),
        family=teachers.family.value,
        num_teacher_neurons=teachers.num_neurons,
        output_law=teachers.output_law.value,
        teacher_activation=teachers.activation.value,
        sizes=sizes,
        noise_std=teachers.noise_std,
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
        task=task(config),
    )


def amounts(config: schemas.NonlinearStudyConfig, value: Any) -> np.ndarray:
    """grid.amounts: removed fractions, angles, or what a task of one's own makes of them; each makes another source."""
    own, count = task(config), config.task.num_neurons
    values = _grid.axis("grid.amounts", value, largest_amount(config))
    family = config.task.family
    check_amounts(own or TeacherTask(config.task.dim, family.value, count, "signs", "relu"), values)
    removal = own is None and family is schemas.Family.removal
    if removal and len(set(np.rint(values * count).tolist())) != values.size:
        raise UserError(
            f"grid.amounts = {values.tolist()} removes the same number of {count} neurons twice; use "
            f"multiples of {1 / count:.4g}, or raise task.num_neurons."
        )
    return values


def largest_amount(config: schemas.NonlinearStudyConfig) -> float:
    """Where an axis of amounts ends: all neurons but one, a right angle, or 1 for a task of one's own."""
    if config.task.custom is not None:
        return 1.0
    return 1 - 1 / config.task.num_neurons if config.task.family is schemas.Family.removal else math.pi / 2


def family(config: schemas.NonlinearStudyConfig) -> str:
    """What the amount is of: the family of teachers, or "custom"."""
    return config.task.family.value if config.task.custom is None else "custom"


def sample_sizes(value: Any) -> np.ndarray:
    """grid.sample_sizes, increasing whole numbers."""
    values = _grid.axis("grid.sample_sizes", list(value), 0.0)
    if np.any(values < 1) or np.any(values != np.rint(values)):
        raise UserError(f"grid.sample_sizes = {list(value)} must hold whole numbers of at least 1.")
    return values.astype(np.int32)


def title(config: schemas.NonlinearStudyConfig) -> str:
    """The settings of a study in one line, for figures."""
    task, network = config.task, config.network
    kind = "mean-field" if network.scaling is schemas.Scaling.mean_field else f"depth {network.depth}"
    name = network.activation.value
    student = network.custom or f"{kind} {ACTIVATIONS.get(name, name)}, width {network.width}"
    learned = task.custom or f"d = {task.dim}, {task.num_neurons} teacher neurons"
    return f"{student}, {learned}, σ = {task.noise_std:g}"


def worded(lines: list[str]) -> list[str]:
    """Findings that are numbers; those worded from NaN, for want of usable runs, are left out and counted."""
    kept = [line for line in lines if not re.search(r"\bnan\b|\binf\b", line)]
    left_out = len(lines) - len(kept)
    return [*kept, f"{left_out} findings are left out for want of usable runs."] if left_out else kept


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
