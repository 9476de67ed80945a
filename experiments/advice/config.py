"""What may be configured of the study of real data."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from experiments.running.config import EnsembleConfig, StudyConfig


class Part(Enum):
    """Which data: word vectors to valence, element representations to properties, digits to other digits."""

    words = "words"
    elements = "elements"
    digits = "digits"


@dataclass
class WordsConfig:
    """Word vectors (256 numbers a word, of which a prefix is the probe's features) to the valence of words."""

    num_features: Any = field(default_factory=lambda: [16, 64])  # prefixes, each at most 256
    num_samples: Any = field(default_factory=lambda: [60, 150, 500, 1500])  # words in a pilot, 30 to 5,000
    num_raters: Any = field(default_factory=lambda: [1, 10])  # ratings averaged in a label, 1 to 10: its noise
    ratios: Any = field(
        default_factory=lambda: [1.5, 2.0, 3.0, 5.0, 8.0]
    )  # n / k at which the k-feature form is tested


@dataclass
class ElementsConfig:
    """Pretrained representations of the chemical elements to electronegativity and melting point."""

    num_samples: Any = field(
        default_factory=lambda: [20, 40, 60]
    )  # elements in a pilot, 10 to 80; the rest is tested on


@dataclass
class DigitsConfig:
    """Networks pretrained on the digits 0 to 4 and moved to 5 to 9."""

    num_samples: Any = field(default_factory=lambda: [20, 60, 200])  # images in a pilot, 10 to 600
    width: int = 64  # of both hidden layers
    learning_rate: float = 0.003  # Adam
    num_steps: int = 600  # of every training run
    pretraining_steps: int = 600  # on the 901 images of 0 to 4
    advised: int = 10  # pilots of each size, at most, that are shown to the planner


@dataclass
class RealDataConfig(StudyConfig):
    """Advice on real data against what training then shows: part x size x pilot."""

    parts: list[Part] = field(default_factory=lambda: list(Part))
    words: WordsConfig = field(default_factory=WordsConfig)
    elements: ElementsConfig = field(default_factory=ElementsConfig)
    digits: DigitsConfig = field(default_factory=DigitsConfig)
    ensemble: EnsembleConfig = field(default_factory=lambda: EnsembleConfig(num_instances=10))
    tolerance: float = 0.1  # a method within this relative distance of the best is as good as the best
    confidence: float = 0.9  # least share of support of what is recommended
