"""Samples and their moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear import data
from tlx.linear import task as tasks
from tlx.networks import deep_linear


@pytest.fixture
def pair(key):
    return tasks.linear_pair(key, 0.7, tasks.power_law_spectrum(12, 0.8), target_norm=2.0)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_blockwise_moments_are_those_of_the_rows(key, pair, count):
    inputs, labels = data.draw(key, pair.target, pair.spectrum, 0.3, count)
    assert inputs.shape == (count, 12)
    direct = data.moments(inputs, labels)
    drawn = jax.jit(data.sample_moments)(key, pair.target, pair.spectrum, 0.3, count)
    for left, right in zip(direct, drawn, strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
def test_moment_loss_and_gradient_are_those_of_the_data(x64, key):
    pair = tasks.linear_pair(key, 0.4, tasks.power_law_spectrum(10))
    inputs, labels = data.draw(key, pair.target, pair.spectrum, 0.5, 7)
    weights = deep_linear.random_start(key, dim=10, width=6, depth=3, init_scale=0.7)

    def direct(w):
        product = inputs @ w[0] @ w[1] @ w[2]
        return jnp.mean((product - labels) ** 2)

    def by_moments(w):
        return data.squared_loss(deep_linear.predictor(w), data.moments(inputs, labels))

    np.testing.assert_allclose(by_moments(weights), direct(weights), rtol=1e-12)
    for ours, theirs in zip(jax.grad(by_moments)(weights), jax.grad(direct)(weights), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


def as_written(predictor, moments):
    """The loss whose gradient autodiff takes, reading the matrix twice."""
    return predictor @ (moments.covariance @ predictor) - 2 * (moments.cross @ predictor) + moments.label_power


def test_the_gradient_reads_the_matrix_once_and_is_that_of_autodiff(key, pair):
    moments = data.sample_moments(key, pair.target, pair.spectrum, 0.3, 40)
    beta = pair.source
    ours, theirs = jax.grad(data.squared_loss)(beta, moments), jax.grad(as_written)(beta, moments)
    assert float(jnp.linalg.norm(ours - theirs)) < 1e-6 * float(jnp.linalg.norm(theirs))

    def reads(loss):
        program = jax.make_jaxpr(jax.grad(loss))(beta, moments).jaxpr
        return sum(program.invars[1] in equation.invars for equation in program.eqns)

    assert (reads(as_written), reads(data.squared_loss)) == (2, 1)


@pytest.mark.slow
def test_every_derivative_of_the_loss_is_right(x64, key, pair):
    moments = data.sample_moments(key, pair.target, pair.spectrum, 0.3, 40)
    moments = moments._replace(covariance=(moments.covariance + moments.covariance.T) / 2)
    np.testing.assert_allclose(
        jax.hessian(data.squared_loss)(pair.source, moments), 2 * moments.covariance, rtol=1e-12, atol=1e-14
    )
    for ours, theirs in zip(*(jax.grad(loss, 1)(pair.source, moments) for loss in (data.squared_loss, as_written))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_a_population_by_its_diagonal_is_that_by_its_matrix(x64, key, pair):
    diagonal = data.population_moments(pair.target, pair.spectrum, 0.3)
    whole = diagonal._replace(covariance=jnp.diag(diagonal.covariance))
    for function in (data.squared_loss, jax.grad(data.squared_loss)):
        np.testing.assert_allclose(function(pair.source, diagonal), function(pair.source, whole), rtol=1e-12)
    columns = jax.random.normal(key, (12, 3))
    np.testing.assert_allclose(diagonal.times(columns), whole.times(columns), rtol=1e-12)
    np.testing.assert_allclose(diagonal.times(pair.source), whole.times(pair.source), rtol=1e-12)


@pytest.mark.slow
def test_population_moments_are_the_limit_of_samples(key, pair):
    instances, count = 60, 4000
    keys = jax.random.split(key, instances)
    drawn = jax.lax.map(lambda k: data.sample_moments(k, pair.target, pair.spectrum, 0.3, count), keys)
    exact = data.population_moments(pair.target, pair.spectrum, 0.3)
    exact = exact._replace(covariance=jnp.diag(exact.covariance))
    for sample, value in zip(drawn[:3], exact[:3], strict=True):
        error = sample.std(0, ddof=1) / np.sqrt(instances)
        z = (sample.mean(0) - value) / error
        assert float(jnp.max(jnp.abs(z))) < 4.8  # largest of 157 normal deviates: P < 3e-4


def test_a_draw_depends_on_its_key_alone(key, pair):
    short, _ = data.draw(key, pair.target, pair.spectrum, 0.3, 5)
    long, _ = data.draw(key, pair.target, pair.spectrum, 0.3, 90)
    np.testing.assert_array_equal(short, long[:5])
    other, _ = data.draw(jax.random.fold_in(key, 1), pair.target, pair.spectrum, 0.3, 5)
    assert not np.allclose(short, other)


def test_bad_samples_are_refused(key, pair):
    with pytest.raises(ValueError, match="noise_std = -1"):
        data.draw(key, pair.target, pair.spectrum, -1.0, 5)
    with pytest.raises(ValueError, match="num_samples = 0"):
        data.draw(key, pair.target, pair.spectrum, 0.1, 0)
