"""What may be configured in the studies of deep linear networks, with types and defaults: their only place."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from experiments.running.config import EnsembleConfig, StudyConfig


class Engine(Enum):
    """full: every weight trained; spectral: the same descent in the data's eigenbasis; flow: its limit, no steps."""

    full = "full"
    spectral = "spectral"
    flow = "flow"


class Covariance(Enum):
    """Input covariance: identity, or eigenvalues proportional to j^-covariance_exponent with mean 1."""

    isotropic = "isotropic"
    power_law = "power_law"


class Start(Enum):
    """Weights before training: independent Gaussian, or a balanced rank-one chain of the same size."""

    random = "random"
    balanced = "balanced"


class Pretraining(Enum):
    """How the source network is made: trained, or placed where gradient flow from init_scale -> 0 ends."""

    gradient_descent = "gradient_descent"
    limit = "limit"


class OptimizerName(Enum):
    """Training rule."""

    gradient_descent = "gradient_descent"
    adam = "adam"


@dataclass
class TaskConfig:
    """The source/target pair and its inputs."""

    dim: int = 100  # input dimension d
    noise_std: float = 0.2  # label noise of the target sample; risks never contain it
    target_norm: float = 1.0  # |beta_t|
    source_norm: float = 1.0  # |beta_s|
    source_ratio: float | None = None  # n_source / dim; null: the population source loss
    source_noise_std: float = 0.0  # label noise of a finite source sample
    covariance: Covariance = Covariance.isotropic
    covariance_exponent: float = 1.0  # a of eigenvalues j^-a, used by covariance=power_law


@dataclass
class NetworkConfig:
    """The student network."""

    depth: int = 2  # number of weight layers
    width: int | None = None  # null: as wide as the input
    init_scale: float | None = None  # null: small enough for the feature-learning limit, by depth
    start: Start = Start.random


@dataclass
class OptimizerConfig:
    """One training run; the tolerance is a relative rate of change of the weights."""

    name: OptimizerName = OptimizerName.gradient_descent
    learning_rate: float = 0.01  # step size; one that diverges is answered with the largest stable one
    num_steps: int = 20000  # at most
    momentum: float = 0.0  # heavy ball, in [0, 1)
    weight_decay: float = 0.0  # added to the gradient as weight_decay * weights
    tolerance: float = 1e-5  # stop below it; 0 takes every step


@dataclass
class PhaseOptimizers:
    """Fields left null inherit from `optimizer`."""

    learning_rate: float | None = None  # null: optimizer.learning_rate
    num_steps: int | None = None  # null: optimizer.num_steps


@dataclass
class PretrainingConfig(PhaseOptimizers):
    """The source network's training."""

    mode: Pretraining = Pretraining.gradient_descent


@dataclass
class ScratchConfig(PhaseOptimizers):
    """Training from scratch; several weight decays are trained side by side, the first is the one in `risk`."""

    weight_decays: list[float] = field(default_factory=lambda: [0.0])  # of SGD, each a training run of its own


@dataclass
class LinearTransferConfig:
    """The linear probe; several ridges are solved side by side, the first is the one in `risk`."""

    ridges: list[float] = field(default_factory=lambda: [0.0])  # 0 means 0
    feature_cutoff: float = 0.05  # singular values of the features below this fraction of the largest: not learned


@dataclass
class FineTuningConfig:
    """Which weights fine-tuning trains (engine=full; all of them in the other engines)."""

    trained_layers: list[int] | None = None  # numbers from 1 to depth, increasing; null: all layers
    lora_rank: int | None = None  # rank of the update of each trained matrix; null: the weights themselves
    lora_scale: float = 1e-3  # size of the update's random factor at the start; the other one starts at zero


@dataclass
class L2spConfig:
    """Fine-tuning pulled back to where it started; the first value is the one in `risk`."""

    penalties: list[float] = field(default_factory=lambda: [0.1])  # k of protocol l2sp: loss + k |beta - beta_pre|^2
    weight_decays: list[float] = field(default_factory=lambda: [0.1])  # of layerwise_l2sp: towards the start, per layer


@dataclass
class SourceRidgeConfig:
    """Ridge on all directions orthogonal to the source; the first value is the one in `risk`."""

    ridges: list[float] = field(default_factory=lambda: [0.1])  # above 0


@dataclass
class SgdConfig:
    """Mini-batches of scratch training and of fine-tuning (engines full and spectral)."""

    batch_size: int | None = None  # rows a step; null: the whole sample
    replacement: bool = True  # false: every epoch goes through the sample in a new order


@dataclass
class GridConfig:
    """The axes of the diagram: lists, or an int for that many even steps up to pi/2 (angles) and 2 (ratios)."""

    overlap_angles: Any = 10  # radians in [0, pi]
    sample_ratios: Any = 10  # n / dim


@dataclass
class LinearStudyConfig(StudyConfig):
    """What the studies of deep linear networks share."""

    # keys that came with 0.2: at their defaults they are no part of a unit's identity, so that units of 0.1 are found
    LATER: ClassVar[tuple[str, ...]] = ("protocols", "fine_tuning", "l2sp", "source_ridge", "sgd")

    engine: Engine = Engine.full
    task: TaskConfig = field(default_factory=TaskConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    linear_transfer: LinearTransferConfig = field(default_factory=LinearTransferConfig)
    # what is carried out, scratch among it: further l2sp, layerwise_l2sp, source_ridge
    protocols: list[str] = field(default_factory=lambda: ["scratch", "linear_transfer", "fine_tuning"])
    fine_tuning: FineTuningConfig = field(default_factory=FineTuningConfig)
    l2sp: L2spConfig = field(default_factory=L2spConfig)
    source_ridge: SourceRidgeConfig = field(default_factory=SourceRidgeConfig)
    sgd: SgdConfig = field(default_factory=SgdConfig)
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
