"""Training by descent on one loss, or on a mini-batch of it a step, until the tolerance, the last step or divergence.

Nothing here knows what is trained (deep linear, mean-field, MLP) or how many lanes run beside this one.
Traced (may differ between lanes): the optimizer's numbers, record_at, the loss's own data.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from tlx._checks import check_count, require
from tlx.train.optimizer import Optimizer
from tlx.train.result import DIVERGENCE_FACTOR, Status, TrainResult, relative_rate


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
    step_loss: Callable[[PyTree, Int[Array, ""]], Float[Array, ""]] | None = None,
    unroll: int = 1,
) -> TrainResult:
    """Minimise `loss` from `params` until the tolerance, the step limit or divergence.

    Args:
        loss: the training loss of one lane, a function of the weights alone (full batch).
        params: any pytree of weights.
        optimizer: the rule and when it stops.
        observe: what to record of the weights, any pytree of arrays.
        record_at: increasing step numbers (0 = the start) at which to record; a traced array is taken as it is. After
            an early stop the last weights are recorded again: a converged run stands still.
        step_loss: (weights, step number) -> the loss whose gradient that step takes, that of a mini-batch (SGD); None
            takes the gradient of `loss`. Convergence and divergence are judged by `loss` either way.
        unroll: steps written out in one turn of XLA's loop, which copies the weights at every turn: 2 makes steps that
            move little but weights (deep linear networks on a CPU core) a quarter to a third faster, and compiles
            the step twice.

    Returns:
        A `TrainResult`. A lane that has stopped costs nothing more unless it is batched with running ones.
    """
    _check_records(record_at, optimizer.num_steps)
    check_count("unroll", unroll)
    advance = _advance(loss, optimizer, step_loss, unroll)
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


def _advance(
    loss: Callable, optimizer: Optimizer, step_loss: Callable | None, unroll: int
) -> Callable[[_State, Array], _State]:
    """A function that runs a state on to a given step number, or until its lane stops."""
    rule = optimizer.transformation()
    gradient = jax.grad(loss) if step_loss is None else jax.grad(step_loss)

    def step(count, carry):
        params, memory = carry
        slope = gradient(params) if step_loss is None else gradient(params, count)
        updates, memory = rule.update(slope, memory, params)
        return optax.apply_updates(params, updates), memory

    def look(state: _State, params, memory, count, ceiling) -> _State:
        value, slope = jax.value_and_grad(loss)(params)
        slope = jax.tree.map(lambda g, w: g + optimizer.weight_decay * w, slope, params)
        rate, size = relative_rate(slope, params)
        blown = ~(jnp.isfinite(value) & jnp.isfinite(rate)) | (value > ceiling)
        converged = (rate <= optimizer.tolerance) & (size > 0)
        status = jnp.where(blown, Status.DIVERGED, jnp.where(converged, Status.CONVERGED, -1))
        return _State(params, memory, state.step + count, status.astype(jnp.int32), value, rate)

    def advance(state: _State, stop: Array) -> _State:
        ceiling = DIVERGENCE_FACTOR * jnp.maximum(state.loss, 1)

        def block(state: _State) -> _State:
            count = jnp.minimum(optimizer.check_every, stop - state.step)
            begin = 0 if step_loss is None else state.step
            params, memory = _repeat(step, begin, count, (state.params, state.memory), unroll)
            return look(state, params, memory, count, ceiling)

        return jax.lax.while_loop(lambda s: (s.status < 0) & (s.step < stop), block, state)

    return advance


def _repeat(
    step: Callable[[Array, PyTree], PyTree], begin: Array | int, count: Array, carry: PyTree, unroll: int
) -> PyTree:
    """`count` steps from number `begin` on, `unroll` a turn of the loop, and what is left one by one."""

    def turn(number: Array, carry: PyTree) -> PyTree:
        for i in range(unroll):
            carry = step(begin + unroll * number + i, carry)
        return carry

    if unroll == 1:
        return jax.lax.fori_loop(begin, begin + count, step, carry)
    carry = jax.lax.fori_loop(0, count // unroll, turn, carry)
    return jax.lax.fori_loop(begin + count - count % unroll, begin + count, step, carry)
