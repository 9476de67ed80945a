"""Endpoints and paths of gradient flow: their own equations, and real descent as the step size shrinks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tlx.linear import chain as spectral
from tlx.linear import data, flow_path
from tlx.linear import flow_end as flow
from tlx.linear import task as tasks
from tlx.train import Optimizer, Status

pytestmark = pytest.mark.slow


@functools.partial(jax.jit, static_argnums=(1, 2), static_argnames=("dim", "count"))
def problem(key, dim=24, count=12, noise_std=1.0, source_norm=1.3):
    pair = tasks.linear_pair(key, 0.8, jnp.ones(dim), source_norm=source_norm)
    inputs, labels = data.draw(jax.random.fold_in(key, 1), pair.target, jnp.ones(dim), noise_std, count)
    basis, modes = spectral.decompose(data.moments(inputs, labels))
    return modes, basis.T @ pair.source, inputs, labels


descend = jax.jit(spectral.descend, static_argnums=2)
endpoint = jax.jit(flow.endpoint, static_argnums=2)
decayed_endpoint = jax.jit(flow.decayed_endpoint, static_argnums=1)
minimum_norm = jax.jit(flow.minimum_norm)
path = jax.jit(flow_path.path, static_argnums=(2, 4))


def descended(modes, start, depth, learning_rate, num_steps=400_000, **keywords):
    rule = Optimizer(learning_rate, num_steps, tolerance=keywords.pop("tolerance", 1e-9), **keywords)
    return descend(modes, spectral.balanced(start, depth), depth, rule)


@pytest.mark.parametrize("count", [12, 40])
def test_minimum_norm_is_the_pseudo_inverse(x64, key, count):
    pair = tasks.linear_pair(key, 0.8, jnp.ones(24))
    inputs, labels = data.draw(key, pair.target, jnp.ones(24), 0.5, count)
    basis, modes = spectral.decompose(data.moments(inputs, labels))
    np.testing.assert_allclose(basis @ minimum_norm(modes), np.linalg.pinv(inputs) @ labels, atol=1e-11)


@pytest.mark.parametrize("depth", [1, 2, 4, 10])
def test_endpoint_solves_its_equation(x64, key, depth):
    modes, start, *_ = problem(key)
    beta = endpoint(modes, start, depth)
    null = np.asarray(modes.eigenvalues) == 0
    np.testing.assert_allclose(beta[~null], (modes.cross / modes.eigenvalues)[~null], rtol=1e-12)
    scale = (jnp.linalg.norm(beta) / jnp.linalg.norm(start)) ** ((depth - 1) / depth)
    np.testing.assert_allclose(beta[null], scale * start[null], rtol=1e-12)
    assert (depth == 1) == (abs(float(scale) - 1) < 1e-9)  # the published form has scale 1 at every depth


@pytest.mark.parametrize("depth", [2, 3])
def test_descent_reaches_the_endpoint_at_first_order(x64, key, depth):
    """Halving the step halves the distance; the published c = 1 is not approached."""
    modes, start, *_ = problem(key)
    rates = [0.02, 0.01, 0.005, 0.0025]
    runs = [descended(modes, start, depth, rate) for rate in rates]
    assert all(run.status == Status.CONVERGED for run in runs)
    limit = endpoint(modes, start, depth)
    gaps = np.array([jnp.linalg.norm(spectral.predictor(run.params, depth) - limit) for run in runs])
    np.testing.assert_allclose(gaps[:-1] / gaps[1:], 2, atol=0.25)
    np.testing.assert_allclose(gaps[-2] / gaps[-1], 2, atol=0.06)
    published = minimum_norm(modes) + jnp.where(modes.eigenvalues > 0, 0, start)
    assert jnp.linalg.norm(spectral.predictor(runs[-1].params, depth) - published) > 10 * gaps[-1]


def test_flow_conserves_the_balance(x64, key):
    """A chain placed at the endpoint is balanced and stands still; any other rescaling is not balanced."""
    modes, start, *_ = problem(key)
    beta = endpoint(modes, start, 2)
    run = descended(modes, beta, 2, 0.01, 10)
    assert run.gradient_rate < 1e-9


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_endpoint_edge_cases(x64, key, depth):
    modes, start, *_ = problem(key, count=40)  # no null space: the start is forgotten
    np.testing.assert_allclose(endpoint(modes, start, depth), minimum_norm(modes), rtol=1e-12)
    modes, start, *_ = problem(key)
    zero = endpoint(modes, jnp.zeros_like(start), depth)
    np.testing.assert_allclose(zero, minimum_norm(modes), rtol=1e-12)
    silent = modes._replace(cross=jnp.zeros_like(modes.cross))  # labels 0: only the null part is left, and shrinks
    beta = endpoint(silent, start, depth)
    null_power = jnp.sum(jnp.where(modes.eigenvalues > 0, 0, start) ** 2)
    shrunk = (null_power / (start @ start)) ** ((depth - 1) / 2)
    np.testing.assert_allclose(jnp.linalg.norm(beta), shrunk * jnp.sqrt(null_power), rtol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("weight_decay", [0.003, 0.1])
def test_decayed_endpoint_is_where_descent_with_decay_ends(x64, key, depth, weight_decay):
    """A fixed point has no step size, so this holds to the tolerance; the start is forgotten."""
    modes, start, *_ = problem(key)
    run = descended(modes, start, depth, 0.02, weight_decay=weight_decay, tolerance=1e-10)
    assert run.status == Status.CONVERGED
    beta = decayed_endpoint(modes, depth, weight_decay)
    np.testing.assert_allclose(spectral.predictor(run.params, depth), beta, atol=2e-7)
    kappa = weight_decay / 2 * jnp.linalg.norm(beta) ** (2 / depth - 2)
    np.testing.assert_allclose(beta, modes.cross / (modes.eigenvalues + kappa), rtol=1e-8)


def test_too_much_decay_ends_at_zero(x64, key):
    modes, start, *_ = problem(key)
    threshold = 2 * float(jnp.linalg.norm(modes.cross))
    assert jnp.linalg.norm(decayed_endpoint(modes, 2, 0.98 * threshold)) > 0
    assert jnp.all(decayed_endpoint(modes, 2, 1.02 * threshold) == 0)
    run = descended(modes, start, 2, 0.02, weight_decay=1.02 * threshold, num_steps=20_000)
    assert jnp.linalg.norm(spectral.predictor(run.params, 2)) < 1e-6
    np.testing.assert_array_equal(decayed_endpoint(modes, 2, 0.0), minimum_norm(modes))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_path_solves_the_differential_equation(x64, key, depth):
    modes, start, *_ = problem(key)
    chain = spectral.balanced(start, depth)
    gradient = jax.jit(jax.grad(lambda c: spectral.squared_loss(c, modes, depth)))

    def slope(_, state):
        g = gradient(spectral.Chain(jnp.asarray(state[:-1]), jnp.asarray(state[-1])))
        return -np.append(g.first, g.rest)

    times = np.array([0.0, 0.1, 1.0, 7.0])
    begin = np.append(chain.first, chain.rest)
    states = solve_ivp(slope, (0, 7.0), begin, t_eval=times, rtol=1e-10, atol=1e-12).y.T
    expected = [spectral.predictor(spectral.Chain(jnp.asarray(s[:-1]), jnp.asarray(s[-1])), depth) for s in states]
    found = path(modes, chain, depth, jnp.asarray(times), lambda beta: beta)
    np.testing.assert_allclose(found, np.array(expected), atol=1e-7)


@pytest.mark.parametrize("depth", [1, 2])
def test_descent_follows_the_path_at_first_order(x64, key, depth):
    modes, start, *_ = problem(key)
    chain = spectral.balanced(start, depth)
    exact = path(modes, chain, depth, jnp.asarray([2.0]), lambda beta: beta)[0]
    gaps = []
    for num_steps in (400, 800, 1600):
        run = descended(modes, start, depth, 2.0 / num_steps, num_steps, tolerance=0.0)
        gaps.append(float(jnp.linalg.norm(spectral.predictor(run.params, depth) - exact)))
    np.testing.assert_allclose(np.array(gaps[:-1]) / gaps[1:], 2, atol=0.1)


def test_path_ends_at_the_endpoint(x64, key):
    modes, start, *_ = problem(key)
    last = path(modes, spectral.balanced(start, 2), 2, jnp.asarray([300.0]), lambda beta: beta)[0]
    np.testing.assert_allclose(last, endpoint(modes, start, 2), atol=1e-4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_path_with_decay_ends_where_decay_does(x64, key, depth):
    modes, start, *_ = problem(key)
    chain = spectral.balanced(start, depth)
    last = path(modes, chain, depth, jnp.asarray([600.0]), lambda beta: beta, weight_decay=0.1)[0]
    np.testing.assert_allclose(last, decayed_endpoint(modes, depth, 0.1), atol=1e-6)


def test_a_small_start_leaves_the_saddle_on_time(key):
    """In float32: |beta| grows as alpha^2 e^{4 |b| t}, so an error of the start would shift the whole curve."""
    modes, *_ = problem(key)
    direction = modes.cross / jnp.linalg.norm(modes.cross)
    alpha, time = 1e-5, 2.5 / jnp.linalg.norm(modes.cross)  # ten e-foldings
    chain = spectral.Chain(alpha * direction, jnp.asarray(alpha))
    found = path(modes, chain, 2, time[None], jnp.linalg.norm)[0]
    expected = alpha**2 * jnp.exp(4 * time * jnp.linalg.norm(modes.cross))
    assert expected < 1e-4  # still far from the data
    np.testing.assert_allclose(found, expected, rtol=2e-3)
