"""What may be configured in every study, with types and defaults. Names are part of the public contract."""

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar


class Precision(Enum):
    """Floating-point type of everything computed."""

    float32 = "float32"
    float64 = "float64"


class FigureStyle(Enum):
    """talk: large, settings above; paper: as wide as one or two columns, settings in the caption alone."""

    talk = "talk"
    paper = "paper"


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
class CacheConfig:
    """Compiled programs kept between runs, so that only the first run of a study compiles."""

    enabled: bool = True  # false: nothing is kept; JAX_COMPILATION_CACHE_DIR in the environment has JAX keep its own
    directory: str | None = None  # shared by all processes; null: `tlx` in the user's cache folder
    local: str | None = None  # where each process keeps its own copies; null: the system's temporary folder
    max_gb: float = 0.5  # of the directory; the oldest entries go first


@dataclass
class StudyConfig:
    """What every study has."""

    # changes no number, and is not part of a unit's identity; the grid is part of it, axis value by axis value
    STEERING: ClassVar[tuple[str, ...]] = (
        *("grid", "ensemble", "figures", "figure_style", "quiet", "force", "plan", "store", "shard", "checkpoint"),
        *("distributed", "cache"),
    )

    study: str = ""
    seed: int = 0  # of every random draw
    precision: Precision = Precision.float32
    figures: list[str] | None = None  # null: all of the study's figures
    figure_style: FigureStyle = FigureStyle.talk
    quiet: bool = False  # say nothing but errors
    force: bool = False  # compute again even what is already there, beside it, and replace it at the end
    plan: bool = False  # say what would be computed, what it takes and what is done; compute nothing
    store: str | None = None  # directory of the units, which jobs may share; null: `units` in the output directory
    shard: ShardConfig = field(default_factory=ShardConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
