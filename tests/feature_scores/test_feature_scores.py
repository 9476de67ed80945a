"""Feature scores against independent routes: direct maximisation, explicit refits, scikit-learn, and the population."""

import numpy as np
import pytest

from tlx.feature_scores import h_score, linear_mse, log_me, maximum_evidence
from tlx.feature_scores.h_score import ledoit_wolf

SHAPES = [(40, 3), (30, 12), (20, 20), (15, 40)]


def sample(count, width, seed=0, noise=0.5):
    rng = np.random.default_rng([seed, count, width])
    features = rng.normal(size=(count, width)) * np.linspace(0.3, 2.0, width)[None, :]
    weights = rng.normal(size=width) / np.sqrt(width)
    return features, features @ weights + noise * rng.normal(size=count)


@pytest.mark.parametrize(("count", "width"), SHAPES)
def test_log_me_is_the_largest_marginal_likelihood(count, width):
    """Nelder-Mead on the dense Gaussian log density in (log alpha, log beta), from nine starts."""
    optimize, statistics = pytest.importorskip("scipy.optimize"), pytest.importorskip("scipy.stats")
    features, labels = sample(count, width)

    def cost(logs):
        alpha, beta = np.exp(np.clip(logs, -14, 14))
        covariance = features @ features.T / alpha + np.eye(count) / beta
        return -statistics.multivariate_normal(np.zeros(count), covariance).logpdf(labels) / count

    starts = [(a, b) for a in (-2.0, 0.0, 2.0) for b in (-1.0, 1.0, 3.0)]
    options = {"xatol": 1e-7, "fatol": 1e-11, "maxiter": 2000}
    found = min(
        (optimize.minimize(cost, s, method="Nelder-Mead", options=options) for s in starts), key=lambda r: r.fun
    )
    best = maximum_evidence(features, labels)
    np.testing.assert_allclose(best.log_evidence, -found.fun, rtol=1e-7)
    if count > width:  # at n <= k a noiseless fit makes the maximum flat in beta
        np.testing.assert_allclose(np.log([best.weight_precision, best.noise_precision]), found.x, atol=1e-3)


def test_log_me_satisfies_the_published_fixed_point():
    """alpha = g/|m|², beta = (n - g)/|F m - y|², g = sum beta s²/(alpha + beta s²), m the posterior mean."""
    features, labels = sample(60, 8)
    _, alpha, beta = maximum_evidence(features, labels)
    gram = features.T @ features
    mean = np.linalg.solve(alpha / beta * np.eye(8) + gram, features.T @ labels)
    used = np.sum(beta * np.linalg.eigvalsh(gram) / (alpha + beta * np.linalg.eigvalsh(gram)))
    np.testing.assert_allclose(alpha, used / (mean @ mean), rtol=1e-4)
    np.testing.assert_allclose(beta, (60 - used) / np.sum((features @ mean - labels) ** 2), rtol=1e-4)


def test_log_me_scales_and_limits():
    features, labels = sample(50, 4)
    value = log_me(features, labels)
    np.testing.assert_allclose(log_me(100 * features, labels), value, rtol=1e-9)
    np.testing.assert_allclose(log_me(features, 3 * labels), value - np.log(3), rtol=1e-9)
    assert log_me(features, features[:, 0]) == np.inf
    across = labels - features @ np.linalg.lstsq(features, labels, rcond=None)[0]
    noise = -0.5 * (np.log(2 * np.pi * np.mean(across**2)) + 1)
    useless = maximum_evidence(features, across)
    np.testing.assert_allclose(useless.log_evidence, noise, rtol=1e-9)
    assert log_me(np.zeros((50, 2)), across) == pytest.approx(noise, rel=1e-12)


def test_h_score_is_the_squared_multiple_correlation():
    features, labels = sample(50, 6)
    design = np.column_stack([np.ones(50), features])
    fit = design @ np.linalg.lstsq(design, labels, rcond=None)[0]
    explained = 1 - np.sum((labels - fit) ** 2) / np.sum((labels - labels.mean()) ** 2)
    np.testing.assert_allclose(h_score(features, labels), explained, rtol=1e-10)
    np.testing.assert_allclose(h_score(features @ np.diag(np.arange(1, 7.0)) + 3, labels), explained, rtol=1e-10)
    np.testing.assert_allclose(h_score(np.column_stack([features, features[:, 0]]), labels), explained, rtol=1e-10)


def test_h_score_of_one_feature_in_the_population():
    """400,000 rows: H -> cos²/(1 + sigma²), standard error about 2 sqrt(H) (1 - H)/sqrt(n)."""
    rng, angle, noise, count = np.random.default_rng(3), 0.7, 0.5, 400_000
    x = rng.normal(size=(count, 2))
    y = x @ np.array([np.cos(angle), np.sin(angle)]) + noise * rng.normal(size=count)
    exact = np.cos(angle) ** 2 / (1 + noise**2)
    assert abs(h_score(x[:, :1], y) - exact) < 4 * 2 * np.sqrt(exact) * (1 - exact) / np.sqrt(count)


def test_h_score_of_useless_features_is_k_over_n_minus_one():
    """2,000 draws of n = 30, k = 6; |z| < 4. Shrinkage lowers it."""
    rng = np.random.default_rng(4)
    draws = [(rng.normal(size=(30, 6)), rng.normal(size=30)) for _ in range(2000)]
    values = np.array([h_score(*draw) for draw in draws])
    assert abs(values.mean() - 6 / 29) < 4 * values.std() / np.sqrt(2000)
    assert np.mean([h_score(*draw, shrinkage="ledoit_wolf") for draw in draws[:100]]) < values.mean() / 2


@pytest.mark.parametrize(("count", "width"), [(60, 5), (25, 40)])
def test_shrinkage_against_scikit_learn_and_its_definition(count, width):
    covariance = pytest.importorskip("sklearn.covariance")
    features, labels = sample(count, width)
    centred, y = features - features.mean(0), labels - labels.mean()
    fitted = covariance.LedoitWolf(assume_centered=True).fit(centred)
    np.testing.assert_allclose(ledoit_wolf(centred), fitted.shrinkage_, rtol=1e-10)
    cross = centred.T @ y / count
    expected = (1 - fitted.shrinkage_) * cross @ np.linalg.solve(fitted.covariance_, cross) / np.mean(y**2)
    np.testing.assert_allclose(h_score(features, labels, shrinkage="ledoit_wolf"), expected, rtol=1e-9)


@pytest.mark.parametrize(("ridge", "intercept"), [(0.0, False), (0.0, True), (0.3, False)])
def test_leave_one_out_is_n_separate_fits(ridge, intercept):
    features, labels = sample(20, 4)
    errors = []
    for i in range(20):
        rows = np.delete(np.arange(20), i)
        f, y = features[rows], labels[rows]
        shift, level = (f.mean(0), y.mean()) if intercept else (np.zeros(4), 0.0)
        gram = (f - shift).T @ (f - shift) + 20 * ridge * np.eye(4)
        coefficients = np.linalg.solve(gram, (f - shift).T @ (y - level))
        errors.append(labels[i] - level - (features[i] - shift) @ coefficients)
    found = linear_mse(features, labels, ridge=ridge, intercept=intercept)
    np.testing.assert_allclose(found, np.mean(np.square(errors)), rtol=1e-9)


def test_linear_mse_estimates_risk_plus_noise():
    """2,000 samples of n = 12, k = 3, sigma = 1: leave-one-out 1 + 3/(11 - 4), on its own data 1 - 3/12; |z| < 4."""
    rng = np.random.default_rng(5)
    held_out, own = [], []
    for _ in range(2000):
        x = rng.normal(size=(12, 3))
        y = x @ np.ones(3) + rng.normal(size=12)
        held_out.append(linear_mse(x, y))
        own.append(linear_mse(x, y, evaluation="train"))
    for values, exact in ((held_out, 1 + 3 / (11 - 3 - 1)), (own, 1 - 3 / 12)):
        assert abs(np.mean(values) - exact) < 4 * np.std(values) / np.sqrt(2000)


@pytest.mark.parametrize("score", [log_me, h_score, linear_mse])
def test_bad_input(score):
    features, labels = sample(10, 2)
    with pytest.raises(ValueError, match="one label a row"):
        score(features, labels[:-1])
    with pytest.raises(ValueError, match=r"features\[3, 1\] = nan"):
        score(np.where(np.arange(20).reshape(10, 2) == 7, np.nan, features), labels)
    with pytest.raises(ValueError, match="row 4"):
        score(features, np.where(np.arange(10) == 4, np.inf, labels))
    with pytest.raises(ValueError, match="constant"):
        score(features, np.ones(10))
    with pytest.raises(ValueError, match=r"\(n, k\)"):
        score(labels, labels)


def test_options_are_checked():
    features, labels = sample(10, 2)
    with pytest.raises(ValueError, match=r"shrinkage = 1\.0"):
        h_score(features, labels, shrinkage=1.0)
    with pytest.raises(ValueError, match="evaluation = 'test'"):
        linear_mse(features, labels, evaluation="test")
    with pytest.raises(ValueError, match="ridge > 0"):
        linear_mse(*sample(10, 12))
