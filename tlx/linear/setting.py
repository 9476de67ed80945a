"""Everything about a linear study except the axes of its grid: one frozen, checked object."""

from dataclasses import dataclass, field
from functools import partial

import jax
from jaxtyping import Array

from tlx._checks import check_choice, check_count, check_nonnegative, check_positive, check_range, require
from tlx.train import Optimizer

METHODS = ("scratch", "linear_transfer", "fine_tuning")
PRETRAINING = ("gradient_descent", "limit")
STARTS = ("random", "balanced")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        *("noise_std", "source_noise_std", "target_norm", "source_norm", "covariance_exponent", "init_scale"),
        *("feature_cutoff", "ridges", "weight_decays", "pretrain", "scratch", "fine_tune"),
    ],
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
        check_nonnegative("noise_std", self.noise_std)
        check_nonnegative("source_noise_std", self.source_noise_std)
        check_positive("target_norm", self.target_norm)
        check_positive("source_norm", self.source_norm)
        check_nonnegative("covariance_exponent", self.covariance_exponent)
        check_positive("init_scale", self.init_scale, remedy="A network at zero never leaves it; try 1e-5.")
        check_range("feature_cutoff", self.feature_cutoff, 0.0, 1.0 - 1e-9)
        check_nonnegative("ridges", self.ridges)
        check_nonnegative("weight_decays", self.weight_decays)
        for name in ("ridges", "weight_decays"):
            values = getattr(self, name)
            count = len(values) if hasattr(values, "__len__") else 1
            require(count > 0, f"{name} = {values} is empty; [0.0] is the plain case.")
        increasing = list(self.times) == sorted(set(self.times)) and min(self.times, default=0.0) >= 0
        require(increasing, f"times = {self.times} must be increasing numbers of at least 0.")

    @property
    def hidden_width(self) -> int:
        """The width of the hidden layers."""
        return self.dim if self.width is None else self.width
