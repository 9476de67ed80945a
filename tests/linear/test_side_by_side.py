"""Weight decays run one after another on a CPU and side by side on accelerators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear.engines.base import _each


def root(value):
    """A loop whose length depends on the value, as training's does."""
    return jax.lax.while_loop(lambda x: x * x > value, lambda x: 0.9 * x, 10.0 + value)


@pytest.mark.parametrize("values", [(2.0,), (1.0, 2.0, 50.0)])
def test_each_value_is_the_same_however_it_is_run(values):
    values = jnp.asarray(values)
    found = jax.jit(lambda v: _each(root, v))(values)
    np.testing.assert_allclose(found, [root(value) for value in values], rtol=1e-6)


def test_only_a_cpu_takes_them_one_after_another():
    def loops(platform, count):
        traced = jax.jit(lambda v: _each(jnp.sin, v)).trace(jnp.ones(count))
        return traced.lower(lowering_platforms=(platform,)).as_text().count("stablehlo.while")

    assert [loops(platform, 3) for platform in ("cpu", "cuda", "tpu")] == [1, 0, 0]
    assert loops("cpu", 1) == 0
