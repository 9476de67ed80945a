"""Deep linear networks: shapes, starts, features, what gradient descent conserves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear import data
from tlx.linear import task as tasks
from tlx.networks import deep_linear
from tlx.train import Optimizer, train


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("width", [4, 9])
def test_predictor_is_features_times_last_layer(x64, key, depth, width):
    weights = deep_linear.random_start(key, dim=7, width=width, depth=depth, init_scale=1.0)
    assert len(weights) == depth
    product = jnp.eye(7)
    for weight in weights:
        product = product @ weight
    np.testing.assert_allclose(deep_linear.predictor(weights), product, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(deep_linear.features(weights) @ weights[-1], product, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_balanced_chain_computes_its_predictor_with_equal_layers(x64, key, depth):
    vector = 3.0 * jax.random.normal(key, (11,))
    weights = deep_linear.balanced(key, vector, width=5, depth=depth)
    np.testing.assert_allclose(deep_linear.predictor(weights), vector, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(deep_linear.layer_norms(weights), jnp.linalg.norm(vector) ** (1 / depth), rtol=1e-12)
    if depth > 1:
        assert float(deep_linear.imbalance(weights).max()) < 1e-12
        assert np.linalg.matrix_rank(np.asarray(deep_linear.features(weights))) == 1


def test_balanced_chain_of_zero_is_zero_not_nan(key):
    weights = deep_linear.balanced(key, jnp.zeros(4), width=4, depth=3)
    assert all(bool(jnp.all(w == 0)) for w in weights)


def test_random_layers_have_size_init_scale_per_column(key):
    first, last = deep_linear.random_start(key, dim=400, width=300, depth=2, init_scale=0.1)
    np.testing.assert_allclose(jnp.linalg.norm(first, axis=0).mean(), 0.1, rtol=0.02)
    np.testing.assert_allclose(jnp.linalg.norm(last), 0.1, rtol=0.2)


@pytest.mark.parametrize("rate", [0.02, 0.01])
def test_descent_breaks_the_conserved_imbalance_only_by_the_step_size(x64, key, rate):
    """D_l is conserved by the flow; descent changes it by O(eta): halving the step halves the change."""
    pair = tasks.linear_pair(key, 0.5, tasks.power_law_spectrum(6))
    start = deep_linear.random_start(key, dim=6, width=6, depth=3, init_scale=0.8)
    sample = data.population_moments(pair.source, pair.spectrum)

    def change(step_size):
        rule = Optimizer(step_size, round(4 / step_size), tolerance=0.0)
        end = train(lambda w: data.squared_loss(deep_linear.predictor(w), sample), start, rule).params
        gap = [(a.T @ a - b @ b.T) for a, b in ((end[0], end[1]), (end[1], end[2][:, None]))]
        first = [(a.T @ a - b @ b.T) for a, b in ((start[0], start[1]), (start[1], start[2][:, None]))]
        return sum(float(jnp.linalg.norm(g - f)) for g, f in zip(gap, first, strict=True))

    assert 1.7 < change(rate) / change(rate / 2) < 2.3


@pytest.mark.parametrize(("name", "value"), [("dim", 0), ("width", 0), ("depth", 0), ("depth", 1.5)])
def test_bad_shapes_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        deep_linear.shapes(**{"dim": 3, "width": 3, "depth": 2, name: value})
