"""One training run: the rule, the stopping, the statuses, the record."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tlx.train import Optimizer, Status, train, usable

CURVATURE = jnp.array([1.0, 0.3, 0.05])
TARGET = jnp.array([1.0, -2.0, 0.5])


def loss(w):
    return jnp.sum(CURVATURE * (w - TARGET) ** 2) / 2


START = jnp.array([0.2, 0.1, -0.3])


def by_hand(optimizer, steps):
    w, v = np.asarray(START, np.float64), 0.0
    for _ in range(steps):
        g = np.asarray(CURVATURE) * (w - np.asarray(TARGET)) + optimizer.weight_decay * w
        v = optimizer.momentum * v + g
        w = w - optimizer.learning_rate * v
    return w


@pytest.mark.parametrize("unroll", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 5, 23])
def test_steps_written_out_in_one_turn_are_the_same_steps(unroll, steps):
    """Each with its own number, whatever is left over at a look."""
    rule = Optimizer(0.1, steps, tolerance=0.0, check_every=7)

    def step_loss(w, step):
        return loss(w) * (step + 1)

    w = np.asarray(START, np.float64)
    for step in range(steps):
        w = w - 0.1 * (step + 1) * np.asarray(CURVATURE) * (w - np.asarray(TARGET))
    result = train(loss, START, rule, step_loss=step_loss, unroll=unroll)
    np.testing.assert_allclose(result.params, w, rtol=2e-4)
    np.testing.assert_allclose(
        train(loss, START, rule, unroll=unroll).params, by_hand(rule, steps), rtol=2e-6, atol=2e-6
    )
    assert int(result.num_steps) == steps


@pytest.mark.parametrize("momentum", [0.0, 0.7])
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("steps", [1, 50, 137])
def test_descent_is_the_textbook_recursion(momentum, decay, steps):
    optimizer = Optimizer(0.1, steps, momentum=momentum, weight_decay=decay, tolerance=0.0)
    result = train(loss, START, optimizer)
    np.testing.assert_allclose(result.params, by_hand(optimizer, steps), rtol=2e-6, atol=2e-6)
    assert int(result.num_steps) == steps
    assert int(result.status) == Status.MAX_STEPS


def test_adam_is_optax_adam():
    rule = optax.adam(0.03)
    w, state = START, rule.init(START)
    for _ in range(60):
        updates, state = rule.update(jax.grad(loss)(w), state, w)
        w = optax.apply_updates(w, updates)
    result = train(loss, START, Optimizer(0.03, 60, name="adam", tolerance=0.0))
    np.testing.assert_allclose(result.params, w, rtol=1e-5)


def test_it_stops_at_the_tolerance_and_says_so():
    result = train(loss, START, Optimizer(0.5, 100_000, tolerance=1e-5))
    assert int(result.status) == Status.CONVERGED
    assert float(result.gradient_rate) <= 1e-5
    assert int(result.num_steps) < 2000
    gradient = float(jnp.linalg.norm(jax.grad(loss)(result.params)) / jnp.linalg.norm(result.params))
    assert gradient <= 1.1e-5


def test_a_step_size_beyond_the_curvature_diverges_and_is_not_usable():
    result = train(loss, START, Optimizer(2.5, 100_000))
    assert int(result.status) == Status.DIVERGED
    assert int(result.num_steps) < 100_000
    assert not bool(usable(result.status))


def test_bad_data_is_told_apart_from_divergence():
    result = train(lambda w: loss(w) + jnp.nan, START, Optimizer(0.1, 100))
    assert int(result.status) == Status.NON_FINITE
    assert int(result.num_steps) == 0


def test_the_record_is_the_trajectory():
    optimizer = Optimizer(0.1, 90, momentum=0.5, tolerance=0.0)
    result = train(loss, START, optimizer, observe=lambda w: w, record_at=(0, 1, 60, 90))
    for row, step in zip(result.curve, (0, 1, 60, 90), strict=True):
        np.testing.assert_allclose(row, by_hand(optimizer, step), rtol=2e-6, atol=2e-6)
    alone = train(loss, START, optimizer)
    np.testing.assert_allclose(result.params, alone.params, rtol=1e-6)


def test_restart_goes_on_where_it_stopped():
    half = train(loss, START, Optimizer(0.1, 40, tolerance=0.0))
    whole = train(loss, half.params, Optimizer(0.1, 40, tolerance=0.0))
    np.testing.assert_allclose(whole.params, by_hand(Optimizer(0.1), 80), rtol=2e-6, atol=2e-6)


def test_optimizers_go_through_lowering_and_shapes():
    """What JAX puts in the place of numbers, when it lowers a function or asks for its shapes, is not judged."""
    rule = Optimizer(0.5, 100)
    lowered = jax.jit(lambda optimizer: 2 * optimizer.learning_rate).lower(rule)
    assert lowered.compile()(rule) == 1.0
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((), np.float32), rule)
    assert jax.eval_shape(lambda optimizer: 2 * optimizer.learning_rate, shapes).dtype == np.float32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("num_steps", 0),
        ("num_steps", 2.5),
        ("momentum", 1.0),
        ("weight_decay", -1.0),
        ("name", "sgd"),
        ("tolerance", -1e-3),
    ],
)
def test_bad_optimizers_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        Optimizer(**{"learning_rate": 0.1, field: value})


def test_bad_record_steps_are_refused():
    with pytest.raises(ValueError, match="record_at"):
        train(loss, START, Optimizer(0.1, 10), observe=lambda w: w, record_at=(5, 3))
