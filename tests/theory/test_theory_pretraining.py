"""Pretraining in closed form against independent integration of the flow and of real layers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tlx import theory

TIMES = np.linspace(0.0, 3.0, 7)


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("source_norm", [0.5, 2.0])
def test_norm_solves_the_flow(x64, depth, source_norm):
    """dx/dt = 2 L x^{2-2/L} (rho - x), integrated by SciPy to a relative 1e-10."""
    start, end = 0.3 * source_norm, 3.0 / depth
    times = np.linspace(0.0, end, 9)

    def speed(_, x):
        return 2 * depth * x ** (2 - 2 / depth) * (source_norm - x)

    path = solve_ivp(speed, (0, end), [start], t_eval=times, rtol=1e-11, atol=1e-13, method="DOP853").y[0]
    found = theory.pretraining_norm(times, start, source_norm=source_norm, depth=depth)
    np.testing.assert_allclose(found, path, rtol=1e-8)
    wrong = theory.pretraining_norm(times, start, source_norm=source_norm, depth=depth + 1)
    assert np.abs(wrong / path - 1).max() > 1e-3


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7])
def test_time_and_norm_are_inverse(x64, depth):
    norms = jnp.array([2e-4, 1e-2, 0.3, 0.9, 0.999])
    times = theory.pretraining_time(norms, 1e-4, depth=depth)
    assert np.all(np.diff(times) > 0)
    np.testing.assert_allclose(theory.pretraining_norm(times, 1e-4, depth=depth), norms, rtol=1e-9)


def test_time_of_two_layers_as_stated(x64):
    x, start, rho = 0.9, 0.01, 1.7
    expected = np.log(x * (rho - start) / (start * (rho - x))) / (4 * rho)
    np.testing.assert_allclose(theory.pretraining_time(x, start, source_norm=rho), expected, rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_ends(x64, depth):
    np.testing.assert_allclose(theory.pretraining_norm(0.0, 0.2, depth=depth), 0.2, rtol=1e-12)
    np.testing.assert_allclose(theory.pretraining_norm(np.inf, 0.2, source_norm=1.5, depth=depth), 1.5, rtol=1e-12)
    assert theory.pretraining_time(1.0, 0.2, depth=depth) == np.inf


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_norm_restarts_where_it_stopped(x64, depth):
    halfway = theory.pretraining_norm(0.8, 0.05, depth=depth)
    np.testing.assert_allclose(
        theory.pretraining_norm(0.5, halfway, depth=depth), theory.pretraining_norm(1.3, 0.05, depth=depth), rtol=1e-8
    )


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_derivatives_are_the_flow(x64, depth):
    rate = jax.vmap(jax.grad(lambda t: theory.pretraining_norm(t, 0.2, source_norm=1.3, depth=depth)))(
        jnp.array(TIMES[1:])
    )
    x = theory.pretraining_norm(TIMES[1:], 0.2, source_norm=1.3, depth=depth)
    np.testing.assert_allclose(rate, 2 * depth * x ** (2 - 2 / depth) * (1.3 - x), rtol=1e-7, atol=1e-9)


def layers(depth, start, source, steps, rate, rng):
    """Gradient descent of a balanced rank-one chain of real matrices on |beta - source|^2."""
    dim, width = len(source), 4
    size = np.linalg.norm(start) ** (1 / depth)
    turns = [np.linalg.qr(rng.normal(size=(width, width)))[0][:, 0] for _ in range(depth - 1)]
    chain = [np.outer(start / np.linalg.norm(start), turns[0]) * size]
    chain += [np.outer(a, b) * size for a, b in itertools.pairwise(turns)]
    chain += [turns[-1][:, None] * size]
    assert chain[0].shape == (dim, width)
    for _ in range(steps):
        tails = [np.eye(1)]
        for w in reversed(chain):
            tails.append(w @ tails[-1])
        error = 2 * (tails[-1] - source[:, None])
        head, grads = error, []
        for w, tail in zip(chain, reversed(tails[:-1])):
            grads.append(head @ tail.T)
            head = w.T @ head
        chain = [w - rate * g for w, g in zip(chain, grads)]
    beta = chain[0]
    for w in chain[1:]:
        beta = beta @ w
    return beta[:, 0]


@pytest.mark.parametrize("alignment", [-0.9, 0.0, 0.6])
def test_path_of_two_real_layers(x64, alignment):
    """Norm and alignment from any direction; the gap to gradient descent halves with the step size."""
    source = np.array([1.4, 0, 0])
    start = 0.05 * np.array([alignment, np.sqrt(1 - alignment**2), 0])
    gaps = []
    for rate in (4e-3, 2e-3):
        beta = layers(2, start, source, round(1.2 / rate), rate, np.random.default_rng(3))
        norm, cosine = theory.pretraining_path(1.2, 0.05, alignment, source_norm=1.4)
        gaps.append(abs(np.linalg.norm(beta) - norm) + abs(beta[0] / np.linalg.norm(beta) - cosine))
    assert gaps[1] < 0.02
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("depth", [2, 3])
def test_norm_of_real_layers(x64, depth):
    source = np.array([0.8, 0, 0])
    gaps = []
    for rate in (4e-3, 2e-3):
        beta = layers(depth, 0.1 * source, source, round(2.0 / rate), rate, np.random.default_rng(5))
        gaps.append(abs(np.linalg.norm(beta) - theory.pretraining_norm(2.0, 0.08, source_norm=0.8, depth=depth)))
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)


def test_aligned_path_is_the_norm(x64):
    norm, alignment = theory.pretraining_path(jnp.array(TIMES), 0.02, 1.0, source_norm=1.2)
    np.testing.assert_allclose(norm, theory.pretraining_norm(TIMES, 0.02, source_norm=1.2), rtol=1e-12)
    np.testing.assert_allclose(alignment, 1.0, rtol=1e-12)


def test_effective_start_of_a_small_random_network(x64):
    """Two layers of size 1e-4 with 30 hidden units follow the sigmoid from |W_1^T s + w_2|^2/4."""
    rng, size, dim, width = np.random.default_rng(0), 1e-4, 5, 30
    first, last = size * rng.normal(size=(dim, width)), size * rng.normal(size=width)
    source = np.eye(dim)[0]
    start = theory.effective_start_norm(first[0], last)
    rate, steps = 1e-3, 4100
    for _ in range(steps):
        error = 2 * (first @ last - source)
        first, last = first - rate * np.outer(error, last), last - rate * first.T @ error
    reached = np.linalg.norm(first @ last)
    predicted = float(theory.pretraining_norm(rate * steps, start))
    assert 0.2 < reached < 0.8  # in the middle of the rise, where the start decides
    assert reached == pytest.approx(predicted, rel=0.02)
    assert abs(float(theory.pretraining_norm(rate * steps, 2 * start)) / reached - 1) > 0.1


@pytest.mark.parametrize("alignment", [-1.0, -0.999, 0.3, 1.0])
def test_path_to_the_end(x64, alignment):
    """From the opposite direction the vector shrinks to zero along dx/dt = -4 x (rho + x); it gave NaN."""
    times = jnp.array([0.0, 0.4, 3.0, 300.0, np.inf])
    norm, cosine = theory.pretraining_path(times, 0.3, alignment, source_norm=1.3)
    assert np.all(np.isfinite(norm))
    if alignment > -1:
        np.testing.assert_allclose([norm[-1], cosine[-1]], [1.3, 1.0], rtol=1e-12)
        return
    np.testing.assert_array_equal(cosine, -1.0)
    path = solve_ivp(lambda _, x: -4 * x * (1.3 + x), (0, 3), [0.3], t_eval=times[:3], rtol=1e-11, atol=1e-16)
    np.testing.assert_allclose(norm[:3], path.y[0], rtol=1e-6)
    np.testing.assert_array_equal(norm[3:], 0.0)
    slope = jax.grad(lambda t: theory.pretraining_path(t, 0.3, -1.0, source_norm=1.3)[0])(0.4)
    np.testing.assert_allclose(slope, -4 * norm[1] * (1.3 + norm[1]), rtol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_a_chain_at_the_source_stays_there(x64, depth):
    np.testing.assert_allclose(
        theory.pretraining_norm(jnp.array([0.0, 2.0, np.inf]), 1.2, source_norm=1.2, depth=depth), 1.2, rtol=1e-14
    )
    assert theory.pretraining_time(1.2, 1.2, source_norm=1.2, depth=depth) == 0.0
    assert theory.pretraining_time(0.4, 0.4, depth=depth) == 0.0


def test_traced_values_that_are_never_reached_are_nan(x64):
    assert np.isnan(jax.jit(theory.pretraining_time)(0.1, 0.2))
    assert np.isnan(jax.jit(lambda x: theory.pretraining_norm(1.0, x, depth=3))(1.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.pretraining_norm(1.0, 0.0), "initial_norm"),
        (lambda: theory.pretraining_norm(1.0, 1.5, depth=3), "initial_norm = 1.5 is outside"),
        (lambda: theory.pretraining_time(0.1, 0.2), "norm = 0.1 is outside"),
        (lambda: theory.pretraining_time(np.array([0.5, 1.5]), 0.2), "norm = 1.5 is outside"),
        (lambda: theory.pretraining_norm(-1.0, 0.1), "time"),
        (lambda: theory.pretraining_norm(1.0, 0.1, depth=0), "depth"),
        (lambda: theory.pretraining_time(-0.5, 0.1), "norm"),
        (lambda: theory.pretraining_path(1.0, 0.1, 1.5), "initial_alignment"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
