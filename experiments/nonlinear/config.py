"""What may be configured in the studies of nonlinear networks, with types and defaults."""

from dataclasses import dataclass, field
from enum import Enum

from experiments.linear.config import OptimizerConfig, PhaseOptimizers
from experiments.running.config import EnsembleConfig, StudyConfig


class Family(Enum):
    """How the source is made from the target: fewer neurons, every neuron turned, or another teacher mixed in."""

    removal = "removal"
    rotation = "rotation"
    mixture = "mixture"


class OutputLaw(Enum):
    """Law of the teachers' output weights, before E f^2 = 1."""

    signs = "signs"
    ones = "ones"
    gaussian = "gaussian"


class TeacherActivation(Enum):
    """Activations of the teachers: those with closed forms."""

    relu = "relu"
    erf = "erf"
    linear = "linear"


class Activation(Enum):
    """Activations of the student."""

    relu = "relu"
    erf = "erf"
    linear = "linear"
    tanh = "tanh"
    gelu = "gelu"
    silu = "silu"
    sigmoid = "sigmoid"
    softplus = "softplus"


class Scaling(Enum):
    """mean_field: two layers, 1/width, exact risks where closed forms exist; standard: any depth, sampled risks."""

    mean_field = "mean_field"
    standard = "standard"


class SourceLoss(Enum):
    """Pretraining on the exact population loss, on a fixed sample, or on a fresh batch every step."""

    population = "population"
    sample = "sample"
    online = "online"


@dataclass
class TeacherConfig:
    """The two teachers and the target sample; E f_t^2 = 1."""

    dim: int = 20  # input dimension d
    noise_std: float = 0.1  # label noise of the target sample; risks never contain it
    family: Family = Family.removal
    num_neurons: int = 8  # of the target teacher
    output_law: OutputLaw = OutputLaw.signs
    activation: TeacherActivation = TeacherActivation.relu
    custom: str | None = None  # package.module:function that makes a task of your own; null: teachers


@dataclass
class StudentConfig:
    """The student network."""

    scaling: Scaling = Scaling.mean_field
    depth: int = 2  # number of weight layers; mean_field has 2
    width: int = 64  # hidden neurons in each layer
    activation: Activation = Activation.relu
    init_scale: float = 0.1  # 1: the mean-field start; -> 0: features are learned from nothing
    custom: str | None = None  # package.module:function that makes a network of your own; null: one of these


@dataclass
class NonlinearOptimizer(OptimizerConfig):
    """Steps are in mean-field time (multiplied by the width), and never above the loss's curvature at the start."""

    learning_rate: float = 0.1  # step size over the width
    num_steps: int = 3000  # at most
    momentum: float = 0.9  # heavy ball, in [0, 1)
    tolerance: float = 1e-3  # relative rate of change of the weights below which a run stops; 0 takes every step


@dataclass
class SourceConfig(PhaseOptimizers):
    """The source network's training."""

    loss: SourceLoss = SourceLoss.population
    num_steps: int | None = 2000  # at most; null: optimizer.num_steps
    num_samples: int = 1000  # rows of the source sample, for loss=sample
    noise_std: float = 0.0  # label noise of the source
    batch_size: int = 100  # fresh rows a step, for loss=online


@dataclass
class ProbeConfig:
    """Linear transfer: eigenfeatures below cutoff * the largest eigenvalue are not used; ridge transfer uses all."""

    cutoff: float = 0.01  # in [0, 1)
    ridge: float = 0.001  # of ridge transfer: (1/n)|F c - y|^2 + ridge |c|^2


@dataclass
class NonlinearStudyConfig(StudyConfig):
    """What the studies of nonlinear networks share."""

    task: TeacherConfig = field(default_factory=TeacherConfig)
    network: StudentConfig = field(default_factory=StudentConfig)
    optimizer: NonlinearOptimizer = field(default_factory=NonlinearOptimizer)
    pretraining: SourceConfig = field(default_factory=SourceConfig)
    linear_transfer: ProbeConfig = field(default_factory=ProbeConfig)
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    num_test: int = 10000  # rows of sampled risks and moments
