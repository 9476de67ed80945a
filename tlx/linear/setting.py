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
# Carried out on request, once per penalty: fine-tuning pulled back to where it started, and a ridge that spares it.
PENALISED = (Protocol.L2SP, Protocol.LAYERWISE_L2SP, Protocol.SOURCE_RIDGE)
PRETRAINING = ("gradient_descent", "limit")
STARTS = ("random", "balanced")
NUMBERS = (
    *("noise_std", "source_noise_std", "target_norm", "source_norm", "covariance_exponent", "init_scale"),
    *("feature_cutoff", "ridges", "weight_decays", "l2sp_penalties", "layerwise_decays", "source_ridges"),
    "lora_scale",
)  # traced: lanes may differ in them


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[*NUMBERS, "pretrain", "scratch", "fine_tune"],
    meta_fields=[
        *("dim", "depth", "width", "start", "pretraining", "source_samples", "times", "protocols", "trained_layers"),
        *("lora_rank", "batch_size", "replacement", "max_samples"),
    ],
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
        protocols: what is carried out (static). Fine-tuning is skipped where it is not among them.
        l2sp_penalties: k >= 0 of L2-SP, loss + k |beta - beta_pre|^2 while all layers are trained, shape (p,).
        layerwise_decays: wd >= 0 of L2-SP per layer, loss + (wd/2) sum_l |W_l - W_l(0)|^2, shape (p,).
        source_ridges: k > 0 of the ridge on all directions orthogonal to beta_pre, shape (p,).
        trained_layers: layers that fine-tuning trains, numbers from 1 to L, increasing; None for all (static).
        lora_rank: rank r of the update of each trained matrix, W_l + B_l A_l with B_l = 0 and A_l Gaussian of size
            lora_scale at the start; None trains the weights themselves (static). A last layer, a vector, is trained as
            it is.
        batch_size: rows of the target sample that a step of scratch training and of fine-tuning sees; None for all
            (static).
        replacement: draw the rows of a batch independently; otherwise every epoch goes through the sample in a new
            order, its last incomplete batch left out (static).
        max_samples: rows held for mini-batches, at least the largest n; None takes the largest n of a call (static).
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
    protocols: tuple[str, ...] = PROTOCOLS
    l2sp_penalties: tuple[float | Array, ...] | Array = (0.1,)
    layerwise_decays: tuple[float | Array, ...] | Array = (0.1,)
    source_ridges: tuple[float | Array, ...] | Array = (0.1,)
    trained_layers: tuple[int, ...] | None = None
    lora_rank: int | None = None
    lora_scale: float | Array = 1e-3
    batch_size: int | None = None
    replacement: bool = True
    max_samples: int | None = None

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
        nonnegative = ("noise_std", "source_noise_std", "covariance_exponent", "ridges", "weight_decays")
        for name in (*nonnegative, "l2sp_penalties", "layerwise_decays"):
            check_nonnegative(name, getattr(self, name))
        check_positive("target_norm", self.target_norm)
        check_positive("source_norm", self.source_norm)
        check_positive("init_scale", self.init_scale, remedy="A network at zero never leaves it; try 1e-5.")
        check_range("feature_cutoff", self.feature_cutoff, 0.0, 1.0 - 1e-9)
        check_positive("source_ridges", self.source_ridges, remedy="Ridge 0 is scratch; a huge one linear transfer.")
        check_positive("lora_scale", self.lora_scale, remedy="An update that starts at zero never moves; try 1e-3.")
        for name in ("ridges", "weight_decays", "l2sp_penalties", "layerwise_decays", "source_ridges"):
            values = concrete(getattr(self, name))
            if values is not None and values.ndim == 0:
                raise ValueError(f"{name} = {values} is one number; pass it as ({values},).")
            if values is not None and values.size == 0:
                raise ValueError(f"{name} = {values} is empty; [0.0] is the plain case.")
        self._check_choices()
        check_number("times", self.times)
        increasing = list(self.times) == sorted(set(self.times)) and min(self.times, default=0.0) >= 0
        require(increasing, f"times = {self.times} must be increasing numbers of at least 0.")

    def _check_choices(self) -> None:
        """Protocols, layers, rank and batches that there are."""
        for protocol in self.protocols:
            check_choice("protocols", protocol, (*PROTOCOLS, *PENALISED))
        distinct = len(self.protocols) == len(set(self.protocols)) > 0
        require(distinct, f"protocols = {self.protocols} must name at least one protocol, each once.")
        if self.trained_layers is not None:
            chosen, layers = list(self.trained_layers), range(1, self.depth + 1)
            require(
                chosen == [layer for layer in layers if layer in chosen] and chosen != [],
                f"trained_layers = {self.trained_layers} must be layers from 1 to depth = {self.depth}, increasing.",
            )
        if self.lora_rank is not None:
            check_count("lora_rank", self.lora_rank, remedy="None trains the weights themselves.")
            width = min(self.dim, self.hidden_width)
            require(
                self.lora_rank <= width,
                f"lora_rank = {self.lora_rank} is above the rank {width} of the matrices that it updates; lower it.",
            )
        for name in ("batch_size", "max_samples"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), remedy="None means the whole sample.")

    def penalties(self, protocol: str) -> tuple[float | Array, ...] | Array:
        """The penalties of one of the protocols `PENALISED`."""
        named = dict(zip(PENALISED, (self.l2sp_penalties, self.layerwise_decays, self.source_ridges), strict=True))
        return named[Protocol(protocol)]

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
