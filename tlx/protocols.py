"""What is done with one linear source/target pair, and what comes back; the engines carry it out.

An engine is a module with two functions (`tlx.engines.full`, `spectral`, `flow`):

    prepare(setting, key, num_samples)           -> (prepared, ScratchReport)    once per target data set
    transfer(setting, prepared, overlap_angle)   -> TransferReport               once per source/target pair

The target task and its data belong to the data set; the source is turned away from the target by the angle, so
that a whole row of angles shares one sample, one decomposition and one training from scratch.
"""

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import linalg
from tlx._checks import check_choice, check_count, check_nonnegative, check_positive, check_range, require
from tlx.data import Moments
from tlx.train import Optimizer, TrainResult, usable

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


class ScratchReport(NamedTuple):
    """Training from scratch on one target data set, one entry per weight decay (k,). Failed lanes: risk NaN.

    stable_learning_rate: a step size below which gradient descent on this data set does not diverge, see
    `stable_learning_rate`.
    risk_over_time: at the times of the setting.
    """

    risk: Float[Array, " k"]
    status: Int[Array, " k"]
    num_steps: Int[Array, " k"]
    stable_learning_rate: Float[Array, ""]
    risk_over_time: Float[Array, "k t"]


class TransferReport(NamedTuple):
    """One source/target pair. Risks are excess population risks; a failed lane has risk NaN and says why.

    Attributes:
        linear_transfer_risk: one entry per ridge, shape (r,).
        fine_tuning_risk: scalar.
        source_risk: excess risk of the pretrained network on its own task.
        num_features: learned directions that linear transfer used, at the setting's cut-off.
        linear_transfer_status: that of pretraining (the probe itself is solved exactly).
        fine_tuning_status, fine_tuning_steps, pretrain_steps: of the training runs.
        linear_transfer_over_time: risk at the times of the setting while the last layer alone is trained from zero, at
            the first ridge, by the rule of fine-tuning.
        fine_tuning_over_time: risk at the times of the setting.
    """

    linear_transfer_risk: Float[Array, " r"]
    fine_tuning_risk: Float[Array, ""]
    source_risk: Float[Array, ""]
    num_features: Int[Array, ""]
    linear_transfer_status: Int[Array, ""]
    fine_tuning_status: Int[Array, ""]
    fine_tuning_steps: Int[Array, ""]
    pretrain_steps: Int[Array, ""]
    linear_transfer_over_time: Float[Array, " t"]
    fine_tuning_over_time: Float[Array, " t"]


def record_steps(times: tuple[float, ...], rule: Optimizer) -> Int[Array, " t"]:
    """The steps of a rule nearest to the times t = learning_rate * steps / (1 - momentum); at most its last one."""
    pace = jnp.asarray(rule.learning_rate) / (1 - rule.momentum)
    return jnp.minimum(jnp.rint(jnp.asarray(times, pace.dtype) / pace), rule.num_steps).astype(jnp.int32)


def over_time(result: TrainResult) -> Float[Array, " t"]:
    """The recorded risks of a run; NaN if it failed, empty if nothing was recorded."""
    if result.curve is None:
        return jnp.zeros(0, result.loss.dtype)
    return jnp.where(usable(result.status), result.curve, jnp.nan)


def head_rule(setting: LinearSetting) -> Optimizer:
    """How the last layer alone is trained: as in fine-tuning, its weight decay that of the first ridge."""
    return dataclasses.replace(setting.fine_tune, weight_decay=2 * jnp.asarray(setting.ridges)[0])


def stable_learning_rate(setting: LinearSetting, data: Moments, top: Array | None = None) -> Float[Array, ""]:
    """A step size at which gradient descent on this data set is stable: 1 / (L lambda_max rho^(2 - 2/L)).

    At a balanced rank-one chain of end-to-end norm rho the loss has curvature at most 2 L lambda_max rho^(2-2/L),
    lambda_max being the largest eigenvalue of X^T X / n (by power iteration, to about 1 %), and descent is stable
    below 2 / curvature. rho is taken as the larger of |beta_s| and the root mean square label, so the bound is an
    estimate: chains that grow beyond that (interpolation near n = d) need less. `top` is lambda_max where it is known.
    """

    def iterate(_, vector):
        vector = data.covariance @ vector
        return vector / jnp.linalg.norm(vector)

    if top is None:
        ones = jnp.ones_like(data.cross)
        vector = jax.lax.fori_loop(0, 50, iterate, ones / jnp.linalg.norm(ones))
        top = vector @ (data.covariance @ vector)
    norm = jnp.maximum(setting.source_norm, jnp.sqrt(data.label_power))
    return 1 / (setting.depth * top * norm ** (2 - 2 / setting.depth))


class LinearProbe(NamedTuple):
    """Linear transfer: predictors (r, d), one per ridge, and the number of learned directions used."""

    predictors: Float[Array, "r d"]
    num_features: Int[Array, ""]


def linear_transfer(
    feature_map: Float[Array, "d w"],
    data: Moments,
    ridges: Float[Array, " r"] | tuple[float | Array, ...],
    cutoff: float | Array,
) -> LinearProbe:
    """Refit the last layer on frozen features: argmin_c (1/n)|F c - y|^2 + ridge |c|^2, F = X feature_map.

    Args:
        feature_map: the pretrained features, shape (d, w), used as they are (their scale matters to the ridge).
        data: moments of the target sample.
        ridges: each >= 0; 0 is the minimum-norm least-squares fit, exactly.
        cutoff: see `linalg.learned_features`; directions below it are not used at any ridge.

    Source: Theorems 3.7 and 3.8.
    """
    basis = linalg.learned_features(feature_map, cutoff)
    gram = basis.map.T @ (data.covariance @ basis.map)
    coefficients = linalg.ridge_solutions(gram, basis.map.T @ data.cross, jnp.asarray(ridges, gram.dtype))
    return LinearProbe(coefficients @ basis.map.T, basis.num_kept)
