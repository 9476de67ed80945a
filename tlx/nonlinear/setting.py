"""Everything about a nonlinear study except the axes of its grid, checked before any compute."""

from dataclasses import dataclass, field
from functools import partial

import jax
from jaxtyping import Array

from tlx._checks import (
    check_choice,
    check_count,
    check_instance,
    check_nonnegative,
    check_number,
    check_range,
    require,
)
from tlx.glossary import Protocol
from tlx.kernels import CLOSED_FORMS
from tlx.nonlinear.checks import check_model, check_task, check_together, name_of
from tlx.nonlinear.models import ExactModel, MeanField, Model, MultiLayer
from tlx.nonlinear.task import Task, TeacherTask
from tlx.nonlinear.teachers import FAMILIES, OUTPUT_LAWS
from tlx.train import Optimizer

PROTOCOLS = (
    Protocol.SCRATCH,
    Protocol.LINEAR_TRANSFER,
    Protocol.RIDGE_TRANSFER,
    Protocol.FINE_TUNING,
    Protocol.LP_FT,
)
PRETRAINING = ("population", "sample", "online")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["noise_std", "source_noise_std", "cutoff", "ridge", "pretrain", "scratch", "fine_tune"],
    meta_fields=[
        *("model", "family", "num_teacher_neurons", "output_law", "teacher_activation", "sizes", "pretraining"),
        *("source_samples", "batch_size", "num_test", "task"),
    ],
)
@dataclass(frozen=True)
class NonlinearSetting:
    """One task family, one network, one way to pretrain; the axes are amount, sample size and instance.

    Attributes:
        model: the student, any `Model` (static).
        family, num_teacher_neurons, output_law, teacher_activation: see `tlx.nonlinear.teachers.teacher_pair` (static);
            not used with a task of one's own.
        sizes: target sample sizes n, increasing (static); a sample of n is the first n rows of one draw.
        noise_std: label noise of the target sample; teachers have E f_t^2 = 1.
        pretraining: "population" (the exact loss), "sample" (source_samples fixed rows) or "online" (a fresh
            batch of batch_size rows every step) (static).
        source_samples, source_noise_std, batch_size: of the source, where one is drawn.
        cutoff: learned eigenfeatures have eigenvalue > cutoff * the largest; linear transfer uses only those.
        ridge: penalty of ridge transfer on all features, (1/n)|F c - y|^2 + ridge |c|^2, F = phi / sqrt(m).
        pretrain, scratch, fine_tune: optimizers; step sizes of a `MeanField` are multiplied by its width.
        num_test: rows of sampled risks and moments, for models without closed forms (static).
        task: a `Task` of one's own, such as a `CustomTask` (static); None: the teachers.

    A model or task that does not do what is asked of it is refused here, after one small trial.
    """

    model: Model
    family: str = "removal"
    num_teacher_neurons: int = 5
    output_law: str = "signs"
    teacher_activation: str = "relu"
    sizes: tuple[int, ...] = (100,)
    noise_std: float | Array = 0.2
    pretraining: str = "population"
    source_samples: int = 1000
    source_noise_std: float | Array = 0.0
    batch_size: int = 100
    cutoff: float | Array = 1e-3
    ridge: float | Array = 1e-3
    pretrain: Optimizer = field(default_factory=lambda: Optimizer(0.1, 3000, momentum=0.9, tolerance=0.0))
    scratch: Optimizer = field(default_factory=lambda: Optimizer(0.1, 2000, momentum=0.9))
    fine_tune: Optimizer = field(default_factory=lambda: Optimizer(0.1, 2000, momentum=0.9))
    num_test: int = 10_000
    task: Task | None = None

    def __post_init__(self) -> None:
        check_choice("family", self.family, FAMILIES)
        check_choice("output law", self.output_law, OUTPUT_LAWS)
        check_choice("teacher activation", self.teacher_activation, tuple(CLOSED_FORMS))
        check_choice("pretraining", self.pretraining, PRETRAINING)
        check_count("number of teacher neurons", self.num_teacher_neurons)
        require(len(self.sizes) > 0, "sizes = () leaves no target sample; give at least one size.")
        for size in self.sizes:
            check_count("target sample size", size)
        require(list(self.sizes) == sorted(set(self.sizes)), f"sizes = {self.sizes} must increase.")
        check_count("source_samples", self.source_samples)
        check_count("batch_size", self.batch_size)
        check_count("num_test", self.num_test, 100)
        for name in ("noise_std", "source_noise_std", "cutoff", "ridge"):
            check_number(name, getattr(self, name))
        for name in ("noise_std", "source_noise_std", "ridge"):
            check_nonnegative(name, getattr(self, name))
        for name in ("pretrain", "scratch", "fine_tune"):
            check_instance(name, getattr(self, name), Optimizer)
        check_model(self.model)
        if self.task is not None:
            check_task(self.task)
        check_together(self.model, self.problem)
        check_range("cutoff", self.cutoff, 0.0, 1 - 1e-9, remedy="It is relative to the largest eigenvalue: [0, 1).")
        require(
            self.exact or self.pretraining != "population",
            f"pretraining = 'population' needs closed forms, and {self._student} {self._partner} "
            "has none: use a mean-field relu, erf or linear network with a teacher of the same activation, or "
            "pretraining = 'online' or 'sample'.",
        )

    @property
    def problem(self) -> Task:
        """What is learned: the task of one's own, or the teachers."""
        if self.task is not None:
            return self.task
        laws = self.family, self.num_teacher_neurons, self.output_law, self.teacher_activation
        return TeacherTask(self.model.dim, *laws)

    @property
    def exact(self) -> bool:
        """Whether losses, risks and moments are closed forms rather than samples."""
        model = self.model
        return self.task is None and isinstance(model, ExactModel) and model.exact_for(self.teacher_activation)

    @property
    def _student(self) -> str:
        return str(self.model) if isinstance(self.model, MeanField | MultiLayer) else name_of(self.model)

    @property
    def _partner(self) -> str:
        return f"with a {self.teacher_activation} teacher" if self.task is None else "on a task of one's own"
