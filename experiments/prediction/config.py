"""What may be configured in the study of predictors of transfer, with types and defaults."""

from dataclasses import dataclass, field

from experiments.linear.config import Engine, LinearStudyConfig, TaskConfig
from experiments.nonlinear.config import (
    Family,
    NonlinearOptimizer,
    ProbeConfig,
    SourceConfig,
    StudentConfig,
    TeacherConfig,
)


@dataclass
class PredictorsGrid:
    """How many tasks there are of each kind; the fixed ones are at angle pi/4 or 0 and n/d = 1/2."""

    target_norms: list[float] = field(
        default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    )  # claim (a): |beta_t| = c at angle 0
    sample_ratios: list[float] = field(  # claim (b); the pole n = d is left out
        default_factory=lambda: [
            *(0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.94, 0.96),
            *(1.04, 1.06, 1.1, 1.13, 1.16, 1.2, 1.3, 1.4),
        ]
    )
    num_angles: int = 33  # even steps over [0, pi]: claim (c) and the two ensembles of angles
    ensemble_size: int = 32  # tasks of the ensembles of norms, and of noise and n; twice as many where all vary
    relu_angles: int = 17  # as num_angles, for networks
    relu_ensemble_size: int = 12  # as ensemble_size, for networks
    sample_angles: int = 9  # claim (d): even steps over [0, pi]


@dataclass
class SampledConfig:
    """Claim (d): optimal assignment between two finite samples."""

    dim: int = 500  # input dimension d
    num_samples: int = 250  # n of each of the two samples
    repeats: int = 3  # pairs of samples at each angle


@dataclass
class ReluPart:
    """The two-layer ReLU networks; every neuron of the teacher is turned by the angle."""

    task: TeacherConfig = field(
        default_factory=lambda: TeacherConfig(dim=12, noise_std=0.2, family=Family.rotation, num_neurons=4)
    )
    network: StudentConfig = field(default_factory=lambda: StudentConfig(width=32))
    optimizer: NonlinearOptimizer = field(default_factory=lambda: NonlinearOptimizer(num_steps=2000))
    pretraining: SourceConfig = field(default_factory=SourceConfig)
    linear_transfer: ProbeConfig = field(default_factory=ProbeConfig)
    sizes: list[int] = field(default_factory=lambda: [20, 40, 80, 160, 320])  # those that n is drawn from
    fixed_size: int = 80  # n where it does not vary
    num_instances: int = 8  # independent teachers, data sets and starts of each task
    num_nodes: int = 1000  # inputs that the distances between networks are averaged over
    num_test: int = 2000  # rows of sampled risks and moments


@dataclass
class PredictorsConfig(LinearStudyConfig):
    """Distances between tasks, feature overlap and feature scores against measured transferability."""

    engine: Engine = Engine.flow
    task: TaskConfig = field(default_factory=lambda: TaskConfig(dim=200))
    grid: PredictorsGrid = field(default_factory=PredictorsGrid)
    samples: SampledConfig = field(default_factory=SampledConfig)
    relu: ReluPart = field(default_factory=ReluPart)
    num_resamples: int = 500  # of the bootstrap over tasks
