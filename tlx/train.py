"""One training run: a pure function of a loss, a start and an optimizer, ending in a status.

Nothing here knows what is trained (deep linear, mean-field, MLP) or how many lanes run beside this one.
Traced (may differ between lanes): learning_rate, weight_decay, tolerance, record_at, the loss's own data.
Static (each value is a program of its own): name, num_steps, momentum, check_every.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from tlx._checks import check_choice, check_count, check_nonnegative, check_positive, check_range, require

DIVERGENCE_FACTOR = 1e4  # a loss this many times above the larger of its start and 1 will not come back


class Status(enum.IntEnum):
    """How a lane ended. Only CONVERGED and MAX_STEPS lanes carry a result; the others are counted, not averaged."""

    CONVERGED = 0  # the weights' relative rate of change fell below the tolerance
    MAX_STEPS = 1  # the steps ran out first: a valid iterate, not an endpoint
    DIVERGED = 2  # the loss blew up: the step size is too large for this data
    NON_FINITE = 3  # the loss was not a number at the start: the input is bad


def usable(status: Int[Array, "..."]) -> Array:
    """Lanes whose numbers mean something: CONVERGED or MAX_STEPS."""
    return status <= Status.MAX_STEPS


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


class _State(NamedTuple):
    params: PyTree
    memory: Any
    step: Int[Array, ""]
    status: Int[Array, ""]  # -1 while running
    loss: Float[Array, ""]
    rate: Float[Array, ""]


def train(
    loss: Callable[[PyTree], Float[Array, ""]],
    params: PyTree,
    optimizer: Optimizer,
    *,
    observe: Callable[[PyTree], PyTree] | None = None,
    record_at: tuple[int, ...] | Int[Array, " t"] = (),
) -> TrainResult:
    """Minimise `loss` from `params` until the tolerance, the step limit or divergence.

    Args:
        loss: the training loss of one lane, a function of the weights alone (full batch).
        params: any pytree of weights.
        optimizer: the rule and when it stops.
        observe: what to record of the weights, any pytree of arrays.
        record_at: increasing step numbers (0 = the start) at which to record; a traced array is taken as it is. After
            an early stop the last weights are recorded again: a converged run stands still.

    Returns:
        A `TrainResult`. A lane that has stopped costs nothing more unless it is batched with running ones.
    """
    _check_records(record_at, optimizer.num_steps)
    advance = _advance(loss, optimizer)
    state = _start(loss, params, optimizer)
    curve = None
    if observe is not None and len(record_at):

        def segment(state, stop):
            state = advance(state, stop)
            return state, observe(state.params)

        state, curve = jax.lax.scan(segment, state, jnp.asarray(record_at, jnp.int32))
    state = advance(state, jnp.asarray(optimizer.num_steps, jnp.int32))
    status = jnp.where(state.status < 0, Status.MAX_STEPS, state.status)
    return TrainResult(state.params, status, state.step, state.loss, state.rate, curve)


def _check_records(record_at: Any, num_steps: int) -> None:
    """Refuse step numbers that are out of order or beyond the last step (those of a tuple: they are known now)."""
    if isinstance(record_at, tuple):
        inside = all(0 <= step <= num_steps for step in record_at)
        require(
            list(record_at) == sorted(set(record_at)) and inside,
            f"record_at = {record_at} must increase strictly within [0, num_steps = {num_steps}].",
        )


def _start(loss: Callable, params: PyTree, optimizer: Optimizer) -> _State:
    value = loss(params)
    status = jnp.where(jnp.isfinite(value), -1, Status.NON_FINITE).astype(jnp.int32)
    memory = optimizer.transformation().init(params)
    return _State(params, memory, jnp.asarray(0, jnp.int32), status, value, jnp.full_like(value, jnp.inf))


def _advance(loss: Callable, optimizer: Optimizer) -> Callable[[_State, Array], _State]:
    """A function that runs a state on to a given step number, or until its lane stops."""
    rule = optimizer.transformation()
    gradient = jax.grad(loss)

    def step(_, carry):
        params, memory = carry
        updates, memory = rule.update(gradient(params), memory, params)
        return optax.apply_updates(params, updates), memory

    def look(state: _State, params, memory, count, ceiling) -> _State:
        value, slope = jax.value_and_grad(loss)(params)
        slope = jax.tree.map(lambda g, w: g + optimizer.weight_decay * w, slope, params)
        size = optax.tree.norm(params)
        rate = optax.tree.norm(slope) / jnp.where(size > 0, size, 1)
        blown = ~(jnp.isfinite(value) & jnp.isfinite(rate)) | (value > ceiling)
        converged = (rate <= optimizer.tolerance) & (size > 0)
        status = jnp.where(blown, Status.DIVERGED, jnp.where(converged, Status.CONVERGED, -1))
        return _State(params, memory, state.step + count, status.astype(jnp.int32), value, rate)

    def advance(state: _State, stop: Array) -> _State:
        ceiling = DIVERGENCE_FACTOR * jnp.maximum(state.loss, 1)

        def block(state: _State) -> _State:
            count = jnp.minimum(optimizer.check_every, stop - state.step)
            params, memory = jax.lax.fori_loop(0, count, step, (state.params, state.memory))
            return look(state, params, memory, count, ceiling)

        return jax.lax.while_loop(lambda s: (s.status < 0) & (s.step < stop), block, state)

    return advance
