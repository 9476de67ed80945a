"""The rule of a training run: what is done at each step, and when it stops.

Traced (may differ between lanes): learning_rate, weight_decay, tolerance.
Static (each value is a program of its own): name, num_steps, momentum, check_every.
"""

from dataclasses import dataclass
from functools import partial

import jax
import optax
from jaxtyping import Array

from tlx._checks import check_choice, check_count, check_nonnegative, check_number, check_positive, check_range


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["learning_rate", "weight_decay", "tolerance"],
    meta_fields=["num_steps", "name", "momentum", "check_every"],
)
@dataclass(frozen=True)
class Optimizer:
    """What a training run does at each step, and when it stops.

    Attributes:
        learning_rate: step size eta > 0, in units of the loss's own gradient (a scalar, traced).
        num_steps: most steps taken (static).
        name: "gradient_descent" or "adam" (static).
        momentum: heavy-ball factor in [0, 1), v <- momentum v + g, w <- w - eta v (static).
        weight_decay: g <- g + weight_decay * w, the penalty (weight_decay/2)|w|^2 (a scalar, traced).
        tolerance: stop once |g| <= tolerance * |w| over all weights: the relative rate of change per unit
            of training time. 0 never stops early. In float32 values below about 1e-6 are never reached.
        check_every: steps between two looks at the stopping rule (static); a look costs about one step.
    """

    learning_rate: float | Array = 0.01
    num_steps: int = 5000
    name: str = "gradient_descent"
    momentum: float = 0.0
    weight_decay: float | Array = 0.0
    tolerance: float | Array = 1e-5
    check_every: int = 50

    def __post_init__(self) -> None:
        check_choice("optimizer.name", self.name, ("gradient_descent", "adam"))
        check_count("optimizer.num_steps", self.num_steps)
        check_count("optimizer.check_every", self.check_every)
        for name in ("learning_rate", "momentum", "weight_decay", "tolerance"):
            check_number(f"optimizer.{name}", getattr(self, name))
        check_positive("optimizer.learning_rate", self.learning_rate)
        check_range("optimizer.momentum", self.momentum, 0.0, 1.0 - 1e-9)
        check_nonnegative("optimizer.weight_decay", self.weight_decay)
        check_nonnegative("optimizer.tolerance", self.tolerance)

    def transformation(self) -> optax.GradientTransformation:
        """The Optax chain: weight decay coupled to the gradient (as in SGD with L2), then the rule."""
        decay = optax.add_decayed_weights(self.weight_decay)
        if self.name == "adam":
            return optax.chain(decay, optax.scale_by_adam(), optax.scale(-self.learning_rate))
        memory = [optax.trace(decay=self.momentum)] if self.momentum else []
        return optax.chain(decay, *memory, optax.scale(-self.learning_rate))
