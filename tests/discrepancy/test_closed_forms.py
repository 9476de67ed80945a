"""Distances between laws: closed forms against Monte Carlo on the laws themselves, limits and ceilings."""

import jax.numpy as jnp
import numpy as np
import pytest

from tlx import discrepancy as D
from tlx.discrepancy import FunctionLaw, LinearLaw

DIM, COUNT = 3, 400_000
SOURCE, TARGET = np.array([0.5, 0.2, 0.0]), np.array([0.3, -0.1, 0.4])
PAIRS = [(0.8, 0.8), (0.7, 1.0)]


def log_densities(noise, reference, seed=0):
    """log p_source - log p_target at draws of the source law (the inputs' density cancels), and of the target law."""
    rng = np.random.default_rng(seed)
    out = []
    for beta, std in ((SOURCE, noise), (TARGET, reference)):
        x = rng.normal(size=(COUNT, DIM))
        y = x @ beta + std * rng.normal(size=COUNT)
        logs = [-((y - x @ b) ** 2) / (2 * s**2) - np.log(s) for b, s in ((SOURCE, noise), (TARGET, reference))]
        out.append(logs[0] - logs[1])
    return out


def laws(noise, reference):
    return {"source": LinearLaw(SOURCE, noise), "target": LinearLaw(TARGET, reference)}


def z(values, exact):
    return (np.mean(values) - float(exact)) / (np.std(values) / np.sqrt(len(values)))


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "reference"), PAIRS)
def test_phi_divergences_against_monte_carlo(x64, noise, reference):
    """400,000 draws of each law; |z| < 4 for five divergences, and a source 30 % longer is told apart."""
    at_source, at_target = log_densities(noise, reference)
    pair, wrong = laws(noise, reference), {**laws(noise, reference), "source": LinearLaw(1.3 * SOURCE, noise)}
    half = np.log(2) - np.log1p(np.exp(-at_source)), np.log(2) - np.log1p(np.exp(at_target))
    samples = {
        "kullback_leibler": at_source,
        "squared_hellinger": 1 - np.exp(-at_source / 2),
        "total_variation": np.abs(1 - np.exp(at_target)) / 2,
        "jensen_shannon": (half[0] + half[1]) / 2,
    }
    for name, values in samples.items():
        assert abs(z(values, getattr(D, name)(**pair))) < 4, name
        assert abs(z(values, getattr(D, name)(**wrong))) > 6, name
    order = 0.7
    assert abs(z(np.exp((order - 1) * at_source), np.exp((order - 1) * float(D.renyi(order, **pair))))) < 4


def test_chi_squared_by_quadrature(x64):
    """Small separation, where it is finite: two-dimensional Gauss-Hermite over x, exact in y."""
    source, target = LinearLaw(np.array([0.3, 0.1]), 1.0), LinearLaw(np.array([0.1, 0.2]), 1.0)
    nodes = D.gauss_hermite_inputs(2, 60)
    gap = np.asarray(nodes.points) @ (np.array([0.3, 0.1]) - np.array([0.1, 0.2]))
    expected = np.sum(np.asarray(nodes.weights) * np.exp(gap**2)) - 1
    np.testing.assert_allclose(D.chi_squared(source=source, target=target), expected, rtol=1e-8)
    np.testing.assert_allclose(D.renyi(2.0, source=source, target=target), np.log1p(expected), rtol=1e-8)
    far = LinearLaw(np.array([2.0, 0.0]), 1.0)
    assert np.isinf(D.chi_squared(source=far, target=target))


@pytest.mark.slow
def test_networks_as_functions_agree_with_the_linear_forms(x64):
    """The same linear teachers given as functions, on a quadrature rule that integrates them."""
    nodes = D.gauss_hermite_inputs(3, 24)
    pair = laws(0.8, 0.9)
    functions = {
        name: FunctionLaw(lambda x, w=law.weights: x @ jnp.asarray(w), law.noise_std) for name, law in pair.items()
    }
    for name, tolerance in (("kullback_leibler", 1e-9), ("squared_hellinger", 1e-6), ("total_variation", 5e-3)):
        measure = getattr(D, name)
        np.testing.assert_allclose(measure(**functions, inputs=nodes), measure(**pair), rtol=tolerance)


def test_unit_tasks_and_angle(x64):
    angle, noise = 0.9, 0.3
    pair = {"source": LinearLaw(np.array([1.0, 0.0]), noise)}
    pair["target"] = LinearLaw(np.array([np.cos(angle), np.sin(angle)]), noise)
    np.testing.assert_allclose(D.kullback_leibler(**pair), (1 - np.cos(angle)) / noise**2, rtol=1e-12)


def test_gaussian_transport(x64):
    """W_2 of two Gaussians against scipy's matrix square root; bounds in their order; the sample estimate above."""
    linalg = pytest.importorskip("scipy.linalg")
    pair = laws(0.7, 1.0)

    def covariance(law):
        top = np.concatenate([np.eye(DIM), law.weights[:, None]], axis=1)
        return np.vstack([top, np.append(law.weights, law.weights @ law.weights + law.noise_std**2)])

    first, second = covariance(pair["source"]), covariance(pair["target"])
    root = linalg.sqrtm(first)
    square = np.trace(first + second - 2 * np.real(linalg.sqrtm(root @ second @ root)))
    np.testing.assert_allclose(D.wasserstein_2(**pair), np.sqrt(square), rtol=1e-6)
    low, high = D.wasserstein_1_bounds(**pair)
    assert 0 < low <= high <= float(D.wasserstein_2(**pair)) + 1e-9
    rng = np.random.default_rng(0)
    draws = [rng.multivariate_normal(np.zeros(DIM + 1), c, 400) for c in (first, second)]
    assert D.wasserstein_sample(source=draws[0], target=draws[1]) > low  # biased upwards, as stated


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-7, 1e-5, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize(("noise", "reference"), [(0.5, 0.5), (0.3, 0.30003), (0.0, 0.0), (0.2, 1.5)])
def test_transport_bounds_keep_their_order_in_float32(size, noise, reference):
    """Small separations: the upper bound was 0, below the lower. W_2 against factors brought together in float64."""
    first, second = SOURCE.astype(np.float32), (SOURCE + size * TARGET).astype(np.float32)
    noise, reference = np.float32(noise), np.float32(reference)
    pair = {"source": LinearLaw(jnp.asarray(first), noise), "target": LinearLaw(jnp.asarray(second), reference)}
    low, high = D.wasserstein_1_bounds(**pair)
    apart = np.hypot(np.linalg.norm(first.astype(float) - second), float(noise) - float(reference))
    assert low.dtype == high.dtype == np.float32
    assert 0.3 * apart < float(low) <= float(high) <= 0.8 * apart  # sqrt(2/pi) = .798
    factors = [np.eye(DIM + 1), np.eye(DIM + 1)]
    for factor, weights, std in zip(factors, (first, second), (noise, reference), strict=True):
        factor[-1, :-1], factor[-1, -1] = weights, std
    left, _, right = np.linalg.svd(factors[1].T @ factors[0])
    exact = np.linalg.norm(factors[0] - factors[1] @ left @ right)
    np.testing.assert_allclose(D.wasserstein_2(**pair), exact, rtol=2e-6 if size > 1e-6 else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [1.0, 20.0, 300.0])
@pytest.mark.parametrize("distance", [0.0, 1.0, 30.0])
def test_jensen_shannon_at_unequal_noise(reference, distance):
    """Noises far apart, in float32, against a fine sum: .680 was given for .641 at 20, above its own bound."""
    function = FunctionLaw(lambda x: distance + 0 * x[:, 0], 1.0)
    nodes = D.sampled_inputs(jnp.zeros((1, 1)))
    pair = {"source": function, "target": FunctionLaw(lambda x: 0 * x[:, 0], reference)}
    y = np.unique(np.concatenate([np.linspace(-10, 10, 80_001) * reference, distance + np.linspace(-10, 10, 80_001)]))
    logs = -((y - distance) ** 2) / 2, -((y / reference) ** 2) / 2 - np.log(reference)
    middle = np.logaddexp(*logs) - np.log(2)
    exact = np.trapezoid(sum(np.exp(log) * (log - middle) for log in logs), y) / np.sqrt(2 * np.pi) / 2
    found = float(D.jensen_shannon(**pair, inputs=nodes))
    assert found == pytest.approx(exact, abs=1e-6)
    assert found == pytest.approx(
        float(D.jensen_shannon(source=pair["target"], target=pair["source"], inputs=nodes)), abs=1e-6
    )
    variation = float(D.total_variation(**pair, inputs=nodes))
    assert variation**2 / 2 - 1e-6 <= found <= np.log(2) * variation + 1e-6


def test_maximum_mean_discrepancy_against_its_unbiased_sample(x64):
    """60 pairs of samples of 200 points: the squared distance is unbiased, |z| < 4."""
    pair, rng, found = laws(0.7, 1.0), np.random.default_rng(1), []
    exact = float(D.maximum_mean_discrepancy(**pair, bandwidth=1.5))
    for _ in range(60):
        draws = []
        for law in (pair["source"], pair["target"]):
            x = rng.normal(size=(200, DIM))
            draws.append(D.joint_points(x, x @ law.weights + law.noise_std * rng.normal(size=200)))
        value = D.maximum_mean_discrepancy_sample(source=draws[0], target=draws[1], bandwidth=1.5)
        found.append(value)
    assert abs(z(np.array(found), exact**2)) < 4


@pytest.mark.slow
def test_dudley_never_exceeds_two(x64):
    far = {"source": LinearLaw(100 * SOURCE, 0.1), "target": LinearLaw(-100 * SOURCE, 0.1)}
    low, high = D.dudley_bounds(**far)
    assert low <= high <= 2
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 50
    np.testing.assert_allclose(D.dudley_sample(source=one, target=two), 2.0, rtol=1e-6)
    assert D.dudley_sample(source=one, target=one) < 1e-9


@pytest.mark.parametrize("name", ["kullback_leibler", "squared_hellinger", "total_variation", "jensen_shannon"])
def test_a_law_is_at_no_distance_from_itself(x64, name):
    law = LinearLaw(SOURCE, 0.5)
    np.testing.assert_allclose(getattr(D, name)(source=law, target=law), 0.0, atol=1e-9)


def test_bad_input():
    with pytest.raises(ValueError, match="noise_std"):
        D.kullback_leibler(source=LinearLaw(SOURCE, -1.0), target=LinearLaw(TARGET, 1.0))
    with pytest.raises(ValueError, match="noise"):
        D.kullback_leibler(source=LinearLaw(SOURCE, 0.0), target=LinearLaw(TARGET, 1.0))
    with pytest.raises(ValueError, match="inputs="):
        D.kullback_leibler(source=FunctionLaw(lambda x: x[:, 0], 1.0), target=LinearLaw(TARGET, 1.0))
    with pytest.raises(ValueError, match="equal sizes"):
        D.wasserstein_sample(source=np.ones((3, 2)), target=np.ones((4, 2)))
