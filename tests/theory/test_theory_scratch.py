"""Scratch: against least squares on drawn data, poles, limits, the tuned ridge and weight decay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_simulation import labelled, min_norm, pair, risk, z_score

from tlx import theory


@pytest.mark.parametrize(("samples", "dim"), [(6, 20), (15, 20), (26, 20), (60, 20)])
@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_exact_form_against_least_squares(samples, dim, noise):
    rng = np.random.default_rng(samples)
    target, _ = pair(dim, 0.0, target_norm=1.5)
    measured = risk(min_norm(*labelled(rng, 4000, samples, target, noise)), target)
    exact = float(theory.scratch_risk(samples / dim, noise, target_norm=1.5, dim=dim))
    if noise == 0 and samples > dim:
        assert exact == 0
        assert measured.max() < 1e-20
        return
    assert abs(z_score(measured, exact)) < 4  # 7 such cases, 4,000 data sets each
    if noise > 0 and dim / 2 < samples < 2 * dim:  # the limit form is off by O(1/d), and this many draws can tell
        assert abs(z_score(measured, float(theory.scratch_risk(samples / dim, noise, target_norm=1.5)))) > 4


def test_exact_tends_to_the_limit(x64):
    ratios = jnp.array([0.2, 0.5, 0.9, 1.3, 3.0])
    limit = theory.scratch_risk(ratios, 0.5)
    gaps = [np.abs(theory.scratch_risk(ratios, 0.5, dim=dim) - limit) for dim in (1e3, 1e4)]
    np.testing.assert_allclose(gaps[0] / gaps[1], 10.0, rtol=0.02)  # the error is of order 1/d


def test_pole():
    assert np.isposinf(theory.scratch_risk(1.0, 0.1))
    np.testing.assert_array_equal(theory.scratch_risk(jnp.arange(98, 103) / 100, 0.1, dim=100)[1:4], np.inf)
    assert np.all(np.isfinite(theory.scratch_risk(jnp.array([0.98, 1.02]), 0.1, dim=100)))
    assert float(theory.scratch_risk(1.0, 0.0)) == 0.0  # without noise there is no pole
    np.testing.assert_allclose(theory.scratch_risk(0.99, 0.0, dim=100), 0.01, rtol=1e-5)


@pytest.mark.parametrize(("samples", "ridge"), [(60, 0.3), (120, 0.05), (240, 0.8)])
def test_ridge_against_drawn_data(samples, ridge):
    rng, dim = np.random.default_rng(samples), 120
    target, _ = pair(dim, 0.0)
    inputs, labels = labelled(rng, 150, samples, target, 0.6)
    turned = np.swapaxes(inputs, 1, 2)
    estimate = np.linalg.solve(turned @ inputs / samples + ridge * np.eye(dim), turned @ labels[..., None] / samples)
    measured = risk(estimate[..., 0], target)
    expected = float(theory.ridge_risk(samples / dim, 0.6, ridge))
    error = measured.std() / np.sqrt(len(measured))
    assert abs(measured.mean() - expected) < 4 * error + 2 * expected / dim  # limit form: O(1/d) of bias allowed
    assert abs(measured.mean() - float(theory.ridge_risk(samples / dim, 0.6, ridge / 30))) > 6 * error


def test_ridge_at_zero_is_scratch(x64):
    ratios = jnp.array([0.3, 0.8, 1.0, 1.2, 4.0])
    for noise in (0.0, 0.5):
        np.testing.assert_allclose(
            theory.ridge_risk(ratios, noise, 0.0), theory.scratch_risk(ratios, noise), rtol=1e-12
        )
        close = theory.ridge_risk(ratios[jnp.array([0, 1, 3, 4])], noise, 1e-9)
        np.testing.assert_allclose(close, theory.scratch_risk(ratios[jnp.array([0, 1, 3, 4])], noise), atol=1e-6)


@pytest.mark.slow
def test_optimal_ridge(x64):
    ratios, noise = jnp.array([0.2, 0.7, 1.0, 1.5]), 0.4
    best = theory.optimal_ridge(ratios, noise, target_norm=2.0)
    least = theory.optimal_ridge_risk(ratios, noise, target_norm=2.0)
    np.testing.assert_allclose(theory.ridge_risk(ratios, noise, best, target_norm=2.0), least, rtol=1e-12)
    slope = jax.vmap(jax.grad(lambda r, g: theory.ridge_risk(g, noise, r, target_norm=2.0)))(best, ratios)
    np.testing.assert_allclose(slope, 0.0, atol=1e-12)
    for factor in (0.8, 1.25):
        assert np.all(theory.ridge_risk(ratios, noise, factor * best, target_norm=2.0) > least)
    inverse, k = 1 / ratios, noise**2 / ratios  # the same, by the Stieltjes transform
    m = (-(1 - inverse + k) + jnp.sqrt((1 - inverse + k) ** 2 + 4 * inverse * k)) / (2 * inverse * k)
    np.testing.assert_allclose(theory.optimal_ridge_risk(ratios, noise), noise**2 * inverse * m, rtol=1e-10)


def test_optimal_ridge_without_noise_or_target():
    np.testing.assert_allclose(theory.optimal_ridge_risk(jnp.array([0.25, 1.0, 2.0]), 0.0), [0.75, 0.0, 0.0], atol=1e-7)
    np.testing.assert_array_equal(theory.optimal_ridge_risk(jnp.array([0.5, 1.0, 2.0]), 0.5, target_norm=0.0), 0.0)
    assert np.isfinite(jax.grad(lambda s: theory.optimal_ridge_risk(0.5, s))(0.0))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_weight_decay_comes_to_rest_at_its_ridge(depth):
    """Gradient descent of an L-layer balanced chain with weight decay on drawn data, against the closed form."""
    rng, dim, samples, decay, noise = np.random.default_rng(depth), 90, 60, 0.05, 0.3
    target, _ = pair(dim, 0.0)
    inputs, labels = labelled(rng, 40, samples, target, noise)
    gram = np.swapaxes(inputs, 1, 2) @ inputs / samples
    cross = np.einsum("knd,kn->kd", inputs, labels) / samples
    first = cross / np.linalg.norm(cross, axis=-1, keepdims=True)  # W_1 = first x (unit), nothing off the data's span
    outer, step = np.ones(len(inputs)), 0.1 / depth  # the other layers
    for _ in range(3000):
        scale = outer ** (depth - 1)
        slope = 2 * (np.einsum("kde,ke->kd", gram, first * scale[:, None]) - cross)
        along = np.sum(slope * first, -1) * outer ** max(depth - 2, 0)
        first = first - step * (slope * scale[:, None] + decay * first)
        outer = outer - step * (along + decay * outer) if depth > 1 else outer
    end = first * (outer ** (depth - 1))[:, None]
    measured = risk(end, target)
    error = measured.std() / np.sqrt(len(measured))
    expected = float(theory.weight_decay_risk(samples / dim, noise, decay, depth=depth))
    assert abs(measured.mean() - expected) < 4 * error + 2 * expected / dim
    norms = np.linalg.norm(end, axis=-1)
    ridge = np.asarray(theory.ridge_of_norm(decay, norms, depth=depth))[:, None, None]
    rest = np.linalg.solve(gram + ridge * np.eye(dim), cross[..., None])
    np.testing.assert_allclose(end, rest[..., 0], atol=2e-5)


@pytest.mark.slow
def test_weight_decay_limits(x64):
    ratios = jnp.array([0.5, 2.0])
    np.testing.assert_array_equal(theory.weight_decay_ridge(ratios, 0.3, 0.0), 0.0)
    np.testing.assert_allclose(theory.weight_decay_ridge(ratios, 0.3, 0.2, depth=1), 0.1, rtol=1e-10)
    edge = 2 * jnp.sqrt(1 + 1 / ratios + 0.09 / ratios)  # beyond it a two-layer network decays to zero
    assert np.all(np.isfinite(theory.weight_decay_ridge(ratios, 0.3, 0.999 * edge)))
    np.testing.assert_array_equal(theory.weight_decay_ridge(ratios, 0.3, 1.001 * edge), np.inf)
    np.testing.assert_array_equal(theory.weight_decay_risk(ratios, 0.3, 1.001 * edge, target_norm=1.0), 1.0)
    decays = jnp.geomspace(1e-3, 3.0, 4000)
    least = jnp.min(theory.weight_decay_risk(ratios[:, None], 0.3, decays[None]), axis=1)
    np.testing.assert_allclose(least, theory.optimal_ridge_risk(ratios, 0.3), rtol=1e-5)


@pytest.mark.slow
def test_weight_decay_gradient(x64):
    point = jnp.array([0.6, 0.4, 0.2])
    function = jax.jit(lambda p: theory.weight_decay_risk(p[0], p[1], p[2], depth=3))
    moves = 1e-6 * jnp.eye(3)
    numeric = [(function(point + move) - function(point - move)) / 2e-6 for move in moves]
    np.testing.assert_allclose(jax.grad(function)(point), jnp.stack(numeric), rtol=1e-6)
