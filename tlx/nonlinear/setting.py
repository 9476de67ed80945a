"""Everything about a nonlinear study except the axes of its grid, checked before any compute."""

from dataclasses import dataclass, field
from functools import partial

import jax
from jaxtyping import Array

from tlx._checks import check_choice, check_count, check_nonnegative, check_range, require
from tlx.glossary import Protocol
from tlx.kernels import CLOSED_FORMS
from tlx.nonlinear.models import MeanField, Model
from tlx.nonlinear.teachers import FAMILIES, OUTPUT_LAWS
from tlx.train import Optimizer

PROTOCOLS = (
    Protocol.SCRATCH,
    Protocol.LINEAR_TRANSFER,
    Protocol.RIDGE_TRANSFER,
    Protocol.FINE_TUNING,
    Protocol.LP_FT,
)
METHODS = PROTOCOLS
PRETRAINING = ("population", "sample", "online")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["noise_std", "source_noise_std", "cutoff", "ridge", "pretrain", "scratch", "fine_tune"],
    meta_fields=[
        *("model", "family", "num_teacher_neurons", "output_law", "teacher_activation", "sizes", "pretraining"),
        *("source_samples", "batch_size", "num_test"),
    ],
)
@dataclass(frozen=True)
class NonlinearSetting:
    """One task family, one network, one way to pretrain; the axes are amount, sample size and instance.

    Attributes:
        model: the student (static).
        family, num_teacher_neurons, output_law, teacher_activation: see `tlx.nonlinear.teachers.teacher_pair` (static).
        sizes: target sample sizes n, increasing (static); a sample of n is the first n rows of one draw.
        noise_std: label noise of the target sample; the target has E f_t^2 = 1.
        pretraining: "population" (the exact loss), "sample" (source_samples fixed rows) or "online" (a fresh
            batch of batch_size rows every step) (static).
        source_samples, source_noise_std, batch_size: of the source, where one is drawn.
        cutoff: learned eigenfeatures have eigenvalue > cutoff * the largest; linear transfer uses only those.
        ridge: penalty of ridge transfer on all features, (1/n)|F c - y|^2 + ridge |c|^2, F = phi / sqrt(m).
        pretrain, scratch, fine_tune: optimizers; step sizes of a `MeanField` are multiplied by its width.
        num_test: rows of sampled risks and moments, for models without closed forms (static).
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
        check_nonnegative("noise_std", self.noise_std)
        check_nonnegative("source_noise_std", self.source_noise_std)
        check_nonnegative("ridge", self.ridge)
        check_range("cutoff", self.cutoff, 0.0, 1 - 1e-9, remedy="It is relative to the largest eigenvalue: [0, 1).")
        require(
            self.exact or self.pretraining != "population",
            f"pretraining = 'population' needs closed forms, and {_name(self.model)} with a {self.teacher_activation} "
            "teacher has none: use a mean-field relu, erf or linear network with a teacher of the same activation, or "
            "pretraining = 'online' or 'sample'.",
        )

    @property
    def exact(self) -> bool:
        """Whether losses, risks and moments are closed forms rather than samples."""
        model = self.model
        return isinstance(model, MeanField) and model.exact and model.activation == self.teacher_activation

    def teachers(self) -> dict:
        """The arguments of `teacher_pair` after the amount."""
        return {
            "dim": self.model.dim,
            "num_neurons": self.num_teacher_neurons,
            "output_law": self.output_law,
            "activation": self.teacher_activation,
        }


def _name(model: Model) -> str:
    kind = "a two-layer" if isinstance(model, MeanField) else "a multilayer"
    return f"{kind} {model.activation} network"
