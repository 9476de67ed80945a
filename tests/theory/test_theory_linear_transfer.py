"""Linear transfer: against refitted last layers on drawn data, ridge integrals, finite source, poles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_simulation import INF, labelled, min_norm, pair, risk, z_score

from tlx import theory


def refit(inputs, labels, feature, ridge=0.0):
    """(F^T F + n lambda) c = F^T y on the one unit-norm feature x^T u; returns c u."""
    feature = np.broadcast_to(feature / np.linalg.norm(feature, axis=-1, keepdims=True), (len(inputs), inputs.shape[2]))
    seen = np.einsum("knd,kd->kn", inputs, feature)
    scale = np.sum(seen * labels, -1) / (np.sum(seen**2, -1) + inputs.shape[1] * ridge)
    return scale[:, None] * feature


@pytest.mark.parametrize("samples", [6, 30])
@pytest.mark.parametrize("ridge", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_against_drawn_data(samples, ridge, noise):
    rng, angle = np.random.default_rng(samples), np.pi / 4
    target, source = pair(5, angle, target_norm=1.3)
    measured = risk(refit(*labelled(rng, 60_000, samples, target, noise), source, ridge), target)
    exact = theory.linear_transfer_risk(angle, noise, num_samples=samples, ridge=ridge, target_norm=1.3)
    assert abs(z_score(measured, float(exact))) < 4.5  # 12 cases, 60,000 data sets each
    if ridge > 0:  # the limit n -> inf is rejected, and without a ridge so is 1/n for 1/(n - 2)
        wrong = theory.linear_transfer_risk(angle, noise, ridge=ridge, target_norm=1.3)
    else:
        wrong = theory.linear_transfer_risk(angle, noise, num_samples=samples + 2, target_norm=1.3)
    assert abs(z_score(measured, float(wrong))) > 6


def test_ridge_integrals(x64):
    """Against the closed forms: n -> inf (Theorem 3.8), lambda -> 0, and n = 2, where E_1 gives the integrals."""
    angles, ridges = jnp.linspace(0, np.pi, 7)[:, None], jnp.array([0.0, 0.1, 0.5, 3.0])[None]
    limit = 1 - (1 + 2 * ridges) / (1 + ridges) ** 2 * jnp.cos(angles) ** 2
    np.testing.assert_allclose(theory.linear_transfer_risk(angles, 0.3, ridge=ridges), limit, atol=1e-15)
    near = theory.linear_transfer_risk(angles, 0.3, ridge=ridges, num_samples=1e9)
    np.testing.assert_allclose(near, limit, atol=1e-8)
    for count in (3.0, 10.0):
        small = theory.linear_transfer_risk(0.7, 0.3, num_samples=count, ridge=1e-13)
        np.testing.assert_allclose(small, theory.linear_transfer_risk(0.7, 0.3, num_samples=count), rtol=1e-6)
    from scipy.special import exp1

    k = 2 * 0.4  # n lambda at n = 2; S/2 is exponential
    tail = np.exp(k / 2) * exp1(k / 2) / 2  # E 1/(S + k)
    square = (1 / k - tail) / 2  # E 1/(S + k)^2
    shrunk, noisy = k**2 * square, tail - k * square
    expected = np.sin(0.7) ** 2 + np.cos(0.7) ** 2 * shrunk + (0.09 + np.sin(0.7) ** 2) * noisy
    np.testing.assert_allclose(theory.linear_transfer_risk(0.7, 0.3, num_samples=2, ridge=0.4), expected, rtol=1e-12)


@pytest.mark.parametrize("count", [1.0, 2.0, 3.0, 50.0, 5e3])
def test_ridge_integrals_by_dense_quadrature(x64, count):
    from scipy.integrate import quad
    from scipy.stats import chi2

    limits = np.log([chi2.isf(1 - 1e-16, count), chi2.isf(1e-16, count)])

    def mean(function):
        def density(log_size):
            size = np.exp(log_size)
            return function(size) * size * chi2.pdf(size, count)

        return quad(density, *limits, limit=400, epsabs=1e-14, epsrel=1e-12)[0]

    for ridge in (0.01, 0.5):
        expected = np.cos(0.4) ** 2 * mean(lambda s, k=count * ridge: (k / (s + k)) ** 2)
        expected += np.sin(0.4) ** 2 * (1 + mean(lambda s, k=count * ridge: s / (s + k) ** 2))
        computed = theory.linear_transfer_risk(0.4, 0.0, num_samples=count, ridge=ridge)
        np.testing.assert_allclose(computed, expected, rtol=1e-9)


def test_poles():
    counts = jnp.array([0.5, 1.0, 2.0, 2.5, 3.0, INF])
    risks = theory.linear_transfer_risk(np.pi / 3, 0.2, num_samples=counts)
    np.testing.assert_array_equal(np.isposinf(risks), [True, True, True, False, False, False])
    np.testing.assert_allclose(risks[-1], 0.75, rtol=1e-6)
    assert np.all(np.isfinite(theory.linear_transfer_risk(np.pi / 3, 0.2, num_samples=counts, ridge=0.1)))
    assert float(theory.linear_transfer_risk(0.0, 0.0, num_samples=2)) == 0.0  # nothing to be wrong about
    right = theory.linear_transfer_risk(np.pi / 2, 0.2, num_samples=12.0)
    np.testing.assert_allclose(right, 1 + 1.04 / 10, rtol=1e-6)


@pytest.mark.slow
def test_features_against_drawn_data():
    rng, features, outside, inside, noise = np.random.default_rng(3), 8, 0.5, 0.9, 0.4
    for samples in (4, 14, 40):
        target = np.zeros(20)
        target[0], target[15] = np.sqrt(inside), np.sqrt(outside)
        inputs, labels = labelled(rng, 20_000, samples, target, noise)
        seen = min_norm(inputs[:, :, :features], labels)
        measured = risk(np.pad(seen, ((0, 0), (0, 12))), target)
        exact = theory.feature_transfer_risk(features, outside, noise, num_samples=samples, in_span_energy=inside)
        assert abs(z_score(measured, float(exact))) < 4  # 3 cases, 20,000 data sets each


@pytest.mark.slow
def test_features_identities(x64):
    angle, noise = 0.6, 0.3
    one = theory.feature_transfer_risk(1, np.sin(angle) ** 2, noise, num_samples=9.0, in_span_energy=np.cos(angle) ** 2)
    np.testing.assert_allclose(one, theory.linear_transfer_risk(angle, noise, num_samples=9.0), rtol=1e-13)
    whole = theory.feature_transfer_risk(50, 0.0, noise, num_samples=jnp.array([20.0, 90.0]))
    np.testing.assert_allclose(whole, theory.scratch_risk(jnp.array([0.4, 1.8]), noise, dim=50), rtol=1e-13)
    np.testing.assert_array_equal(theory.feature_transfer_risk(5, 0.1, 0.2, num_samples=jnp.arange(4.0, 7.0)), np.inf)
    endless = theory.feature_transfer_risk(40, 0.2, noise, ridge=0.3, in_span_energy=0.8)
    np.testing.assert_allclose(endless, 0.2 + 0.8 * (0.3 / 1.3) ** 2, rtol=1e-12)


@pytest.mark.parametrize("source_ratio", [0.5, 1.5])
@pytest.mark.parametrize("source_noise", [0.0, 0.6])
def test_finite_source_against_drawn_data(source_ratio, source_noise):
    rng, dim, samples, angle = np.random.default_rng(5), 40, 20, np.pi / 5
    target, source = pair(dim, angle)
    learned = min_norm(*labelled(rng, 3000, int(source_ratio * dim), source, source_noise))
    measured = risk(refit(*labelled(rng, 3000, samples, target, 0.2), learned), target)
    options = {"num_samples": samples, "source_ratio": source_ratio, "source_noise_std": source_noise}
    exact = float(theory.linear_transfer_risk(angle, 0.2, dim=dim, **options))
    assert abs(z_score(measured, exact)) < 4  # 4 cases, 3,000 pairs of data sets each
    if source_ratio < 1 or source_noise > 0:
        population = float(theory.linear_transfer_risk(angle, 0.2, num_samples=samples))
        assert abs(z_score(measured, population)) > 20


@pytest.mark.slow
def test_finite_source_identities(x64):
    angle = jnp.linspace(0, np.pi, 9)
    phi = theory.pretrained_angle(angle, 0.5, 0.2)
    np.testing.assert_allclose(jnp.cos(phi) ** 2, jnp.cos(angle) ** 2 * 0.5 / (1 + 0.04 / 0.5), atol=1e-15)
    phi = theory.pretrained_angle(angle, 1.5, 0.4, source_norm=2.0)
    np.testing.assert_allclose(jnp.cos(phi) ** 2, jnp.cos(angle) ** 2 / (1 + 0.04 / 0.5), atol=1e-15)
    assert np.all((phi > np.pi / 2) == (angle > np.pi / 2 + 1e-9))
    by_angle = theory.linear_transfer_risk(phi, 0.3, num_samples=20.0)
    options = {"num_samples": 20.0, "source_ratio": 1.5, "source_noise_std": 0.4, "source_norm": 2.0}
    np.testing.assert_allclose(by_angle, theory.linear_transfer_risk(angle, 0.3, **options), rtol=1e-12)
    np.testing.assert_allclose(theory.pretrained_angle(angle, INF, 0.5), angle, atol=1e-15)
    close = theory.linear_transfer_risk(angle, 0.3, source_ratio=1e7, source_noise_std=0.5)
    np.testing.assert_allclose(close, theory.linear_transfer_risk(angle, 0.3), atol=1e-6)
    np.testing.assert_allclose(theory.pretrained_angle(0.3, 1.0, 0.2), np.pi / 2)  # the pole of the source set
    np.testing.assert_allclose(theory.linear_transfer_risk(0.3, 0.1, source_ratio=1.0, source_noise_std=0.2), 1.0)
    np.testing.assert_allclose(theory.pretrained_angle(0.3, 1.0, 0.0), 0.3, rtol=1e-12)
    limit = theory.linear_transfer_risk(angle, 0.3, source_ratio=0.5, source_noise_std=0.4)
    wide = theory.linear_transfer_risk(angle, 0.3, source_ratio=0.5, source_noise_std=0.4, dim=1e6)
    np.testing.assert_allclose(wide, limit, atol=1e-5)


def test_angle_gradient_at_the_ends(x64):
    slope = jax.grad(lambda t: theory.pretrained_angle(t, INF, 0.1))
    np.testing.assert_allclose([slope(0.0), slope(0.5)], 1.0, rtol=1e-12)
