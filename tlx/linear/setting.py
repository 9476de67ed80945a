"""Everything about a linear study except the axes of its grid: one frozen, checked object."""

import math
from dataclasses import dataclass, field
from functools import partial

import jax
import numpy as np
from jaxtyping import Array

from tlx._checks import (
    check_choice,
    check_count,
    check_instance,
    check_nonnegative,
    check_number,
    check_positive,
    check_range,
    concrete,
    require,
)
from tlx.glossary import Protocol
from tlx.train import Optimizer

PROTOCOLS = (Protocol.SCRATCH, Protocol.LINEAR_TRANSFER, Protocol.FINE_TUNING)  # what every engine carries out
METHODS = PROTOCOLS
PRETRAINING = ("gradient_descent", "limit")
STARTS = ("random", "balanced")
NUMBERS = (
    *("noise_std", "source_noise_std", "target_norm", "source_norm", "covariance_exponent", "init_scale"),
    *("feature_cutoff", "ridges", "weight_decays"),
)  # traced: lanes may differ in them


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[*NUMBERS, "pretrain", "scratch", "fine_tune"],
    meta_fields=["dim", "depth", "width", "start", "pretraining", "source_samples", "times"],
)
@dataclass(frozen=True)
class LinearSetting:
    """Everything about a linear study except the axes of its grid (angle, sample count, instance).

    Attributes:
        dim: input dimension d (static).
        depth: weight layers L >= 1 (static).
        width: hidden width, None for d (static).
        noise_std: label noise sigma of the target sample.
        source_samples: n_s of the source sample, None for the population loss (static).
        source_noise_std: label noise of the source sample.
        target_norm, source_norm: |beta_t|, |beta_s|.
        covariance_exponent: input covariance eigenvalues ~ j^-exponent, mean 1.
        init_scale: alpha of every start from scratch (see `deep_linear.random_start`).
        start: "random" Gaussian weights, or a "balanced" rank-one chain of the same size (static).
        pretraining: "gradient_descent", or "limit" to place the network where gradient flow from alpha -> 0 ends
            (static).
        feature_cutoff: which learned directions linear transfer may use (`linalg.learned_features`).
        ridges: lambda values of linear transfer, shape (r,); the first is the one called linear_transfer.
        weight_decays: weight decay values of training from scratch, shape (k,); the first is called scratch.
        pretrain, scratch, fine_tune: one `Optimizer` each.
        times: increasing training times >= 0 at which risks are recorded too (static; () records nothing). Time is
            learning_rate * steps / (1 - momentum), that of the gradient flow which the descent follows.
    """

    dim: int = 100
    depth: int = 2
    width: int | None = None
    noise_std: float | Array = 0.2
    source_samples: int | None = None
    source_noise_std: float | Array = 0.0
    target_norm: float | Array = 1.0
    source_norm: float | Array = 1.0
    covariance_exponent: float | Array = 0.0
    init_scale: float | Array = 1e-5
    start: str = "random"
    pretraining: str = "gradient_descent"
    feature_cutoff: float | Array = 0.05
    ridges: tuple[float | Array, ...] | Array = (0.0,)
    weight_decays: tuple[float | Array, ...] | Array = (0.0,)
    pretrain: Optimizer = field(default_factory=lambda: Optimizer(0.05))
    scratch: Optimizer = field(default_factory=Optimizer)
    fine_tune: Optimizer = field(default_factory=Optimizer)
    times: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_count("dim", self.dim, 2, remedy="Two vectors at an angle need two dimensions.")
        check_count("depth", self.depth, remedy="Depth counts weight layers; depth 1 is linear regression.")
        if self.width is not None:
            check_count("width", self.width, remedy="None means as wide as the input.")
        if self.source_samples is not None:
            check_count("source_samples", self.source_samples, remedy="None means the population loss.")
        check_choice("start", self.start, STARTS)
        check_choice("pretraining", self.pretraining, PRETRAINING)
        for name in ("pretrain", "scratch", "fine_tune"):
            check_instance(name, getattr(self, name), Optimizer)
        for name in NUMBERS:
            check_number(name, getattr(self, name))
        for name in ("noise_std", "source_noise_std", "covariance_exponent", "ridges", "weight_decays"):
            check_nonnegative(name, getattr(self, name))
        check_positive("target_norm", self.target_norm)
        check_positive("source_norm", self.source_norm)
        check_positive("init_scale", self.init_scale, remedy="A network at zero never leaves it; try 1e-5.")
        check_range("feature_cutoff", self.feature_cutoff, 0.0, 1.0 - 1e-9)
        for name in ("ridges", "weight_decays"):
            values = concrete(getattr(self, name))
            require(values is None or values.ndim > 0, f"{name} = {values} is one number; pass it as ({values},).")
            require(values is None or values.size > 0, f"{name} = {values} is empty; [0.0] is the plain case.")
        check_number("times", self.times)
        increasing = list(self.times) == sorted(set(self.times)) and min(self.times, default=0.0) >= 0
        require(increasing, f"times = {self.times} must be increasing numbers of at least 0.")

    @property
    def hidden_width(self) -> int:
        """The width of the hidden layers."""
        return self.dim if self.width is None else self.width

    @property
    def source_ratio(self) -> float:
        """n_s / d of the whole source samples that are drawn; inf for the population loss."""
        return math.inf if self.source_samples is None else self.source_samples / self.dim

    @property
    def isotropic(self) -> bool:
        """Whether the input covariance is the identity (its exponent must be a number, not traced)."""
        return bool(np.all(np.asarray(self.covariance_exponent) == 0))


def sample_counts(ratios: float | np.ndarray, dim: int) -> np.ndarray:
    """Whole samples at each ratio n / d, target's or source's: n = round(ratio d), at least 1, as int32."""
    return np.maximum(np.rint(np.asarray(ratios, dtype=float) * dim), 1).astype(np.int32)
