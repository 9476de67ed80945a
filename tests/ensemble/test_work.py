"""Work counted from a trace: loops count as often as they run, training by its steps."""

import jax
import jax.numpy as jnp
import pytest

from tlx.ensemble import work as _work
from tlx.train import Optimizer, train

SQUARE = jnp.ones((64, 64))
ONE = 2 * 64**3 / _work.PRODUCT  # seconds of one product


def test_products_count_by_how_often_they_run():
    once = _work.of(lambda a: a @ a, SQUARE)
    assert once == (pytest.approx(ONE), 0.0)
    scanned = _work.of(lambda a: jax.lax.scan(lambda c, _: (c @ a, None), a, length=7)[0], SQUARE)
    assert scanned.once == pytest.approx(7 * ONE)
    mapped = _work.of(lambda a: jax.lax.map(lambda row: a @ row, a), SQUARE)
    assert mapped.once == pytest.approx(64 * 2 * 64**2 / _work.STREAM)  # a matrix read anew for each vector
    nested = _work.of(jax.jit(lambda a: jax.lax.cond(a[0, 0] > 0, lambda: a @ a @ a, lambda: a)), SQUARE)
    assert nested.once == pytest.approx(2 * ONE, rel=0.1)


def test_training_counts_by_the_step_whatever_the_number_of_steps():
    def run(weights, steps):
        return train(lambda w: jnp.sum((w @ w) ** 2), weights, Optimizer(1e-6, steps)).params

    few, many = (_work.of(lambda w, s=steps: run(w, s), SQUARE) for steps in (10, 10_000))
    assert few.per_step == pytest.approx(many.per_step)
    assert 3 * ONE <= few.per_step - _work.STEP_SECONDS < 4 * ONE  # value, and the gradient's two products
    assert few.once < 6 * ONE


def test_two_runs_side_by_side_are_twice_the_steps():
    def run(rate):
        return train(lambda w: jnp.sum((w @ w) ** 2), SQUARE, Optimizer(rate, 50)).params

    one = _work.of(run, jnp.asarray(1e-6))
    assert _work.of(lambda rates: jax.lax.map(run, rates), jnp.full(5, 1e-6)).per_step == pytest.approx(
        5 * one.per_step
    )
