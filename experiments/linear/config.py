"""What may be configured, with types and defaults; the only place where a default of a study lives.

`register()` is called by every entry point before Hydra composes. Names are part of the public contract.
"""

import hashlib
import importlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from experiments.running import help as _help


class Engine(Enum):
    """full: every weight trained; spectral: the same descent in the data's eigenbasis; flow: its limit, no steps."""

    full = "full"
    spectral = "spectral"
    flow = "flow"


class Precision(Enum):
    """Floating-point type of everything computed."""

    float32 = "float32"
    float64 = "float64"


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
class GridConfig:
    """The axes of the diagram: lists, or an int for that many even steps up to pi/2 (angles) and 2 (ratios)."""

    overlap_angles: Any = 10  # radians in [0, pi]
    sample_ratios: Any = 10  # n / dim


@dataclass
class EnsembleConfig:
    """How much is averaged, and how it is laid out. Only num_instances is science; the rest changes no number."""

    num_instances: int = 20  # independent data sets and initial weights in each cell
    instances_per_unit: int | None = None  # null: chosen by engine; a unit is what a kill can cost
    devices: int | None = None  # null: all accelerators, or one CPU device per core
    lanes_together: int | None = None  # null: 1 on a CPU, as many as fit on an accelerator
    memory_gb: float | None = None  # null: three quarters of an accelerator's memory


@dataclass
class ShardConfig:
    """One of `count` independent jobs that share the units of a study among them (array jobs)."""

    index: int = 0  # of this job, 0 to count - 1
    count: int = 1  # of jobs


@dataclass
class CheckpointConfig:
    """How often a unit under computation is saved; null never saves inside a unit."""

    seconds: float | None = 60.0  # between saves


@dataclass
class DistributedConfig:
    """One program over several hosts (jax.distributed). Null fields are taken from the cluster's environment."""

    enabled: bool = False  # true: every process is started with the same command
    coordinator: str | None = None  # host:port of process 0
    num_processes: int | None = None  # all of them
    process_id: int | None = None  # of this one, from 0
    local_device_ids: list[int] | None = None  # null: all devices of the process (JAX's own default is one)


@dataclass
class StudyConfig:
    """What every study has."""

    study: str = ""
    seed: int = 0  # of every random draw
    precision: Precision = Precision.float32
    figures: list[str] | None = None  # null: all of the study's figures
    force: bool = False  # compute again even what is already there, beside it, and replace it at the end
    plan: bool = False  # say what would be computed, what it takes and what is done; compute nothing
    store: str | None = None  # directory of the units, which jobs may share; null: `units` in the output directory
    shard: ShardConfig = field(default_factory=ShardConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)


@dataclass
class LinearStudyConfig(StudyConfig):
    """What the studies of deep linear networks share."""

    engine: Engine = Engine.full
    task: TaskConfig = field(default_factory=TaskConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    linear_transfer: LinearTransferConfig = field(default_factory=LinearTransferConfig)
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)


@dataclass
class PhaseDiagramConfig(LinearStudyConfig):
    """Angle x sample ratio x instance x method."""

    study: str = "phase_diagram"
    grid: GridConfig = field(default_factory=GridConfig)


@dataclass
class ComparisonGrid(GridConfig):
    """The axes of each diagram, and the values of what is varied."""

    values: list[float] = field(default_factory=lambda: [0.0, 0.2, 0.5, 1.0])  # one diagram each


@dataclass
class ComparisonConfig(PhaseDiagramConfig):
    """Several phase diagrams along one number of the configuration, named by its key."""

    study: str = "comparison"
    vary: str = "task.noise_std"  # the key that takes grid.values
    grid: ComparisonGrid = field(default_factory=ComparisonGrid)


@dataclass
class LearningCurvesGrid(GridConfig):
    """The axes of the curves: lists, or an int for that many steps (even, over the logarithm for times)."""

    overlap_angles: Any = field(default_factory=lambda: [0.4, 1.2])  # radians in [0, pi]
    sample_ratios: Any = field(default_factory=lambda: [0.5, 0.9, 1.1, 2.0])  # n / dim
    times: Any = 40  # training time = learning_rate * steps / (1 - momentum); an int: up to the end of training


@dataclass
class LearningCurvesConfig(PhaseDiagramConfig):
    """Angle x sample ratio x time x instance x method."""

    study: str = "learning_curves"
    grid: LearningCurvesGrid = field(default_factory=LearningCurvesGrid)


@dataclass
class ScratchGrid:
    """Sample ratios only: training from scratch knows no angle."""

    sample_ratios: Any = 20  # n / dim: a list, or an int for that many even steps up to 2


@dataclass
class ScratchRiskConfig(LinearStudyConfig):
    """Double descent of training from scratch: sample ratio x weight decay x instance."""

    study: str = "scratch_risk"
    grid: ScratchGrid = field(default_factory=ScratchGrid)


@dataclass
class PretrainingStudyConfig(LinearStudyConfig):
    """Pretraining over time against its closed forms."""

    study: str = "pretraining"
    num_records: int = 60  # points in time, evenly spaced over the steps
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(learning_rate=0.002, num_steps=5000, tolerance=0.0)
    )


SCHEMAS: dict[str, type] = {
    "phase_diagram": PhaseDiagramConfig,
    "comparison": ComparisonConfig,
    "learning_curves": LearningCurvesConfig,
    "scratch_risk": ScratchRiskConfig,
    "pretraining": PretrainingStudyConfig,
}
MORE = (
    "experiments.nonlinear.config",
    "experiments.prediction.config",
)  # modules that add theirs to SCHEMAS when imported (they import this one)


def register() -> None:
    """Make every schema known to Hydra as `<study>_schema`."""
    for module in MORE:
        importlib.import_module(module)
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)
    OmegaConf.register_new_resolver("tlx_slug", slug, replace=True)
    OmegaConf.register_new_resolver("tlx_presets", _help.presets, replace=True)
    OmegaConf.register_new_resolver(
        "tlx_keys", lambda *, _root_: _help.keys(SCHEMAS[_root_.study], _root_), replace=True
    )


def slug(overrides: str) -> str:
    """A directory name from a command's overrides: readable, and hashed where it would be too long."""
    text = "".join(c if c.isalnum() or c in "=._,-" else "-" for c in overrides.replace("experiment=", "")) or "default"
    return text if len(text) <= 80 else f"{text[:64]}-{hashlib.sha256(overrides.encode()).hexdigest()[:12]}"
