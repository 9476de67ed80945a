"""How a training run ends: its status, and all that it hands back."""

import enum
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

DIVERGENCE_FACTOR = 1e4  # a loss this many times above the larger of its start and 1 will not come back


class Status(enum.IntEnum):
    """How a lane ended. Only CONVERGED and MAX_STEPS lanes carry a result; the others are counted, not averaged."""

    CONVERGED = 0  # the weights' relative rate of change fell below the tolerance
    MAX_STEPS = 1  # the steps ran out first: a valid iterate, not an endpoint
    DIVERGED = 2  # the loss blew up: the step size is too large for this data
    NON_FINITE = 3  # the loss was not a number at the start: the input is bad

    @property
    def label(self) -> str:
        """The name that tables and files use: "converged", "max_steps", "diverged", "non_finite"."""
        return self.name.lower()


def usable(status: Int[Array, "..."]) -> Array:
    """Lanes whose numbers mean something: CONVERGED or MAX_STEPS."""
    return status <= Status.MAX_STEPS


class TrainResult(NamedTuple):
    """Where a run ended.

    Attributes:
        params: the last weights (of a diverged lane: whatever they were).
        status: a `Status` code, int32.
        num_steps: steps taken.
        loss: the loss at `params`, without the weight-decay penalty.
        gradient_rate: |g| / |w| at `params`, what the tolerance is compared with.
        curve: `observe(params)` stacked over `record_at` (None if nothing is recorded).
    """

    params: PyTree
    status: Int[Array, ""]
    num_steps: Int[Array, ""]
    loss: Float[Array, ""]
    gradient_rate: Float[Array, ""]
    curve: PyTree


def relative_rate(slope: PyTree, weights: PyTree) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """|g| / |w| over all weights (|g| where they are all zero), and |w|."""
    size = _norm(weights)
    return _norm(slope) / jnp.where(size > 0, size, 1), size


def _norm(tree: PyTree) -> Float[Array, ""]:
    """|.| over all leaves, by products, which a CPU core takes many numbers at a time where it adds up one by one."""
    return jnp.sqrt(optax.tree.vdot(tree, tree))
