"""Ridge regression on features: drawn data, one feature, the limits, the tuned probe, and gradients at ridge 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_simulation import INF, z_score

from tlx import theory

RIDGED = [(1, 5, 0.2, 0.004), (3, 6, 0.05, 0.004), (3, 6, 0.5, 0.004), (5, 20, 0.1, 0.004), (40, 60, 0.3, 0.002),
          (5, 3, 0.1, 0.006), (20, 15, 0.02, 0.004), (4, 4, 0.1, 0.06)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("features", "samples", "ridge", "allowed"), RIDGED)
def test_features_with_a_ridge(x64, features, samples, ridge, allowed):
    """100,000/k draws of the spectrum: within 4 standard errors plus the stated error of the approximation."""
    rng, pull = np.random.default_rng(samples), samples * ridge
    drawn = rng.normal(size=(100_000 // features, samples, features))
    sizes = np.maximum(np.linalg.eigvalsh(np.swapaxes(drawn, 1, 2) @ drawn), 0.0)
    outside, inside, noise = 0.2, 0.8, 0.3
    measured = outside + inside * np.mean((pull / (sizes + pull)) ** 2, -1)
    measured += (noise**2 + outside) * np.sum(sizes / (sizes + pull) ** 2, -1)
    options = {"num_samples": samples, "ridge": ridge, "in_span_energy": inside}
    expected = float(theory.feature_transfer_risk(features, outside, noise, **options))
    error = measured.std() / np.sqrt(len(measured))
    assert abs(measured.mean() - expected) < 4 * error + allowed * expected
    limit = 0.2 + theory.ridge_risk(samples / features, np.sqrt(noise**2 + outside), ridge, target_norm=np.sqrt(inside))
    if features < 40 and samples != features:
        assert abs(measured.mean() - float(limit)) > 6 * error  # many features: what it used to say


@pytest.mark.parametrize(("samples", "ridge"), [(5.0, 0.2), (1.0, 0.3), (30.0, 1e-6), (INF, 0.3)])
def test_one_feature_is_linear_transfer(x64, samples, ridge):
    angle = 0.7
    one = theory.feature_transfer_risk(
        1, np.sin(angle) ** 2, 0.4, in_span_energy=np.cos(angle) ** 2, num_samples=samples, ridge=ridge
    )
    linear = theory.linear_transfer_risk(angle, 0.4, num_samples=samples, ridge=ridge)
    np.testing.assert_allclose(one, linear, rtol=1e-7)


@pytest.mark.parametrize(("features", "samples"), [(1, 5), (3, 9), (7, 1), (8, 3), (8, 30)])
def test_features_are_continuous_at_ridge_zero(x64, features, samples):
    options = {"num_samples": samples, "in_span_energy": 0.8}
    plain = theory.feature_transfer_risk(features, 0.2, 0.3, **options)
    near = theory.feature_transfer_risk(features, 0.2, 0.3, ridge=1e-9, **options)
    np.testing.assert_allclose(near, plain, rtol=1e-6)


@pytest.mark.slow
def test_many_features_tend_to_the_limit(x64):
    for ratio in (0.6, 1.5):
        limit = 0.2 + theory.ridge_risk(ratio, np.sqrt(0.09 + 0.2), 0.3, target_norm=np.sqrt(0.8))
        many = jnp.array([400.0, 4000.0])
        gaps = theory.feature_transfer_risk(many, 0.2, 0.3, num_samples=ratio * many, ridge=0.3, in_span_energy=0.8)
        gaps = gaps - limit
        assert abs(gaps[1]) < 2e-4
        np.testing.assert_allclose(gaps[0] / gaps[1], 10.0, rtol=0.1)


def test_the_best_ridge_of_the_probe(x64):
    angle, noise = jnp.array([0.2, 0.8, 1.4]), 0.5
    options = {"num_samples": 7.0, "target_norm": 1.3, "source_ratio": 2.0, "source_noise_std": 0.5}
    best = theory.optimal_linear_transfer_ridge(angle, noise, **options)
    least = theory.optimal_linear_transfer_risk(angle, noise, **options)
    np.testing.assert_allclose(theory.linear_transfer_risk(angle, noise, ridge=best, **options), least, rtol=1e-10)
    for factor in (0.7, 1.4):
        assert np.all(theory.linear_transfer_risk(angle, noise, ridge=factor * best, **options) > least)
    assert np.isinf(theory.optimal_linear_transfer_ridge(np.pi / 2, noise, num_samples=7, source_noise_std=1.0,
                                                         source_ratio=1.0))  # fmt: skip
    useless = theory.optimal_linear_transfer_risk(0.4, noise, num_samples=2, source_noise_std=1.0, source_ratio=1.0)
    np.testing.assert_allclose(useless, 1.0, rtol=1e-12)
    np.testing.assert_allclose(theory.optimal_linear_transfer_risk(0.4, noise), np.sin(0.4) ** 2, rtol=1e-12)
    assert theory.optimal_linear_transfer_risk(0.0, 0.0, num_samples=1) == 0.0


SPECTRUM, TARGET, SOURCE = np.linspace(0.5, 1.5, 12), np.cos(np.arange(12.0)), np.sin(np.arange(12.0))
EDGES = {
    "linear": lambda t: theory.linear_transfer_risk(0.8, 0.3, num_samples=20.0, ridge=t),
    "covariance": lambda t: theory.covariance_linear_transfer_risk(
        SPECTRUM, TARGET, SOURCE, 0.3, num_samples=12.0, ridge=t
    ),
    "features": lambda t: theory.feature_transfer_risk(3, 0.5, 0.3, num_samples=12.0, ridge=t),
    "scratch ridge": lambda t: theory.ridge_risk(0.6, 0.3, t),
    "weight decay": lambda t: theory.weight_decay_risk(0.6, 0.3, t),
    "weight decay, one layer": lambda t: theory.weight_decay_risk(1.6, 0.3, t, depth=1),
    "weight decay, three layers": lambda t: theory.weight_decay_risk(1.6, 0.3, t, depth=3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EDGES)
def test_gradient_at_zero_penalty_is_the_one_sided_difference(x64, name):
    """They were all 0. Second order: (4 f(h) - f(2h) - 3 f(0))/(2h)."""
    call, h = EDGES[name], 1e-4
    numeric = (4 * call(h) - call(2 * h) - 3 * call(0.0)) / (2 * h)
    gradient = jax.jit(jax.grad(call))(0.0)
    assert gradient < -1e-3
    np.testing.assert_allclose(gradient, numeric, rtol=2e-3)


def test_gradient_at_zero_ridge_where_it_is_infinite(x64):
    """E S^{-2} does not exist for n <= 4: the risk falls faster than any line."""
    for samples in (2.5, 3.0, 4.0):
        assert jax.grad(lambda t, n=samples: theory.linear_transfer_risk(0.8, 0.3, num_samples=n, ridge=t))(0.0) == -INF
    assert np.isfinite(jax.grad(lambda t: theory.linear_transfer_risk(t, 0.3, num_samples=3.0))(0.8))


@pytest.mark.slow
def test_one_feature_at_any_data_set_size():
    """float32, and z-scores of 50,000 refits at the setting where the limit form gave .580 for .632."""
    rng = np.random.default_rng(0)
    size = np.sum(rng.normal(size=(50_000, 5)) ** 2, -1)
    angle = np.pi / 4
    measured = 0.5 + 0.5 * (1 / (size + 1)) ** 2 + 0.5 * size / (size + 1) ** 2
    expected = float(theory.feature_transfer_risk(1, 0.5, 0.0, num_samples=5, ridge=0.2, in_span_energy=0.5))
    assert abs(z_score(measured, expected)) < 4
    np.testing.assert_allclose(expected, theory.linear_transfer_risk(angle, 0.0, num_samples=5, ridge=0.2), rtol=1e-5)
