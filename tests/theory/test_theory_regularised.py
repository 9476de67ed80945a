"""L2-SP end to end and per layer, ridge orthogonal to the source: drawn data, full networks, optima, break-even."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_simulation import INF, descend_chain, labelled, min_norm, pair, risk

from tlx import theory


def ridged(inputs, labels, penalty, centre, free=None):
    """argmin |X b - y|^2/n + lambda |b - centre|^2, with the unit direction `free` left out of the penalty."""
    dim, samples = inputs.shape[2], inputs.shape[1]
    metric = np.eye(dim) if free is None else np.eye(dim) - np.outer(free, free)
    turned = np.swapaxes(inputs, 1, 2)
    right = turned @ labels[..., None] / samples + penalty * (metric @ centre)[:, None]
    return np.linalg.solve(turned @ inputs / samples + penalty * metric, right)[..., 0]


@pytest.mark.parametrize(("angle", "ratio", "noise", "penalty"), [(0.6, 0.5, 0.5, 0.3), (0.4, 1.4, 1.0, 0.8)])
def test_penalties_against_drawn_data(x64, angle, ratio, noise, penalty):
    """200 data sets at d = 100: within 4 standard errors plus the limit's O(1/d); ridge towards zero is told apart."""
    rng, dim = np.random.default_rng(int(10 * ratio)), 100
    target, source = pair(dim, angle, 1.2, 0.8)
    samples = round(ratio * dim)
    inputs, labels = labelled(rng, 200, samples, target, noise)
    options = {"target_norm": 1.2}
    near = risk(ridged(inputs, labels, penalty, source), target)
    across = risk(ridged(inputs, labels, penalty, 0 * source, source / np.linalg.norm(source)), target)
    plain = float(theory.ridge_risk(ratio, noise, penalty, **options))
    for measured, expected in (
        (near, theory.l2sp_risk(angle, ratio, noise, penalty, source_norm=0.8, **options)),
        (across, theory.source_ridge_risk(angle, ratio, noise, penalty, num_samples=samples, **options)),
    ):
        error = measured.std() / np.sqrt(len(measured))
        assert abs(measured.mean() - float(expected)) < 4 * error + 2 * float(expected) / dim
        assert abs(measured.mean() - plain) > 6 * error


def test_l2sp_from_a_finite_source():
    rng, dim, samples, angle = np.random.default_rng(4), 80, 40, 0.5
    target, source = pair(dim, angle)
    inputs, labels = labelled(rng, 150, samples, target, 0.5)
    starts = min_norm(*labelled(rng, 150, 48, source, 0.4))
    ends = [ridged(x[None], y[None], 0.3, start)[0] for x, y, start in zip(inputs, labels, starts, strict=True)]
    measured = risk(np.stack(ends), target)
    expected = float(theory.l2sp_risk(angle, 0.5, 0.5, 0.3, source_ratio=0.6, source_noise_std=0.4))
    error = measured.std() / np.sqrt(len(measured))
    assert abs(measured.mean() - expected) < 4 * error + 2 * expected / dim
    assert abs(measured.mean() - float(theory.l2sp_risk(angle, 0.5, 0.5, 0.3))) > 6 * error


# depth, angle, g, sigma, wd, r, rho
LAYERS = [(2, 0.7, 0.5, 0.8, 0.6, 1.0, 1.0), (3, 1.1, 0.5, 0.5, 0.3, 1.5, 1.0), (3, 0.4, 1.5, 1.0, 0.5, 1.0, 1.4)]


@pytest.mark.parametrize(("depth", "angle", "ratio", "noise", "decay", "norm", "source_norm"), LAYERS)
def test_decay_of_every_layer_towards_its_start(x64, depth, angle, ratio, noise, decay, norm, source_norm):
    """Full matrices by gradient descent with wd (W_l - W_l(0)), 300 data sets at d = 80; other forms are rejected."""
    rng, dim = np.random.default_rng(10 + depth), 80
    target, source = pair(dim, angle, norm, source_norm)
    inputs, labels = labelled(rng, 300, round(ratio * dim), target, noise)
    ends = descend_chain(inputs, labels, source, depth, 0.06, 250, decay=decay)
    measured = risk(ends, target)
    options = {"target_norm": norm, "source_norm": source_norm}
    expected = float(theory.layerwise_l2sp_risk(angle, ratio, noise, decay, depth=depth, **options))
    error = measured.std() / np.sqrt(len(measured))
    assert abs(measured.mean() - expected) < 4 * error + 2 * expected / dim
    end_to_end = theory.l2sp_risk(angle, ratio, noise, decay / 2, **options)
    unpenalised = theory.fine_tuning_risk(angle, ratio, noise, depth=depth, **options)
    for wrong in (end_to_end, unpenalised):
        assert abs(measured.mean() - float(wrong)) > 5 * error


@pytest.mark.slow
def test_layerwise_limits(x64):
    point = (0.7, jnp.array([0.5, 1.6]), 0.5)
    far = theory.layerwise_l2sp_risk(*point, INF, depth=3, target_norm=1.3)
    np.testing.assert_allclose(far, 1.3**2 - 2.6 * np.cos(0.7) + 1, rtol=1e-12)
    np.testing.assert_allclose(theory.layerwise_l2sp_risk(*point, 1e6, depth=3, target_norm=1.3), far, rtol=1e-4)
    for decay in (0.0, 0.3):  # one layer: end to end
        one = theory.layerwise_l2sp_risk(*point, decay, depth=1)
        np.testing.assert_allclose(one, theory.l2sp_risk(*point, decay / 2), rtol=1e-12)
    near = theory.layerwise_l2sp_risk(*point, 1e-9, depth=2)
    np.testing.assert_allclose(near, theory.layerwise_l2sp_risk(*point, 0.0, depth=2), rtol=1e-6)
    assert np.isinf(theory.layerwise_l2sp_risk(0.7, 1.0, 0.5, 0.0))
    assert theory.layerwise_l2sp_risk(0.7, 1.0, 0.0, 0.0) == 0.0
    assert np.isinf(theory.layerwise_l2sp_risk(0.7, 0.5, 0.5, 0.1, source_ratio=1.0, source_noise_std=0.1))


@pytest.mark.extended
@pytest.mark.slow
def test_layerwise_optimum(x64):
    depths, angles = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.6, 0.6, 1.2])
    least = theory.optimal_layerwise_l2sp_risk(angles, 0.5, 0.5, depth=depths)
    decays = jnp.geomspace(1e-3, 1e2, 100)[:, None]
    scanned = jnp.min(theory.layerwise_l2sp_risk(angles[None], 0.5, 0.5, decays, depth=depths[None]), axis=0)
    assert np.all(least <= scanned)
    np.testing.assert_allclose(least, scanned, rtol=1e-3)
    np.testing.assert_allclose(least[0], theory.optimal_l2sp_risk(0.6, 0.5, 0.5), rtol=1e-9)


def test_optima_are_the_least_values(x64):
    for least, penalty, call in (
        (theory.optimal_l2sp_risk, theory.optimal_l2sp_penalty, theory.l2sp_risk),
        (theory.optimal_source_ridge_risk, theory.optimal_source_ridge_penalty, theory.source_ridge_risk),
    ):
        point = (jnp.array([0.3, 0.9, 2.0]), jnp.array([0.4, 1.0, 1.7]), 0.6)
        options = {"target_norm": 1.3, "source_ratio": 2.5, "source_noise_std": 0.4}
        best = penalty(*point, **options)
        np.testing.assert_allclose(call(*point, best, **options), least(*point, **options), rtol=1e-12)
        for factor in (0.8, 1.25):
            assert np.all(call(*point, factor * best, **options) > least(*point, **options))


def test_tuned_against_tuned_breaks_even_at_the_stated_angle(x64):
    """cos theta = q/(2 r), at any ratio and noise; with a finite source from its q and m."""
    ratios, noises = jnp.array([0.2, 0.9, 1.0, 1.8])[:, None], jnp.array([0.1, 1.0])[None]
    for options in (
        {"target_norm": 1.0, "source_norm": 1.0},
        {"target_norm": 1.5, "source_norm": 0.7},
        {"target_norm": 1.2, "source_norm": 1.0, "source_ratio": 0.6, "source_noise_std": 0.2},
    ):
        angle = theory.tuned_break_even_angle(**options)
        if len(options) == 2:
            np.testing.assert_allclose(jnp.cos(angle), options["source_norm"] / (2 * options["target_norm"]))
        scratch = theory.optimal_ridge_risk(ratios, noises, target_norm=options["target_norm"])
        np.testing.assert_allclose(theory.optimal_l2sp_risk(angle, ratios, noises, **options), scratch, rtol=1e-10)
        for move, sign in ((-1e-4, -1), (1e-4, 1)):
            gap = theory.optimal_l2sp_risk(angle + move, ratios, noises, **options) - scratch
            np.testing.assert_array_equal(jnp.sign(gap), sign)
    assert theory.tuned_break_even_angle(target_norm=0.4) == 0.0
    assert theory.tuned_break_even_angle(source_ratio=1.0, source_noise_std=0.1) == 0.0


@pytest.mark.slow
def test_source_ridge_contains_its_neighbours(x64):
    angle = jnp.linspace(0, np.pi, 7)
    options = {"num_samples": 30.0, "source_ratio": 0.7, "source_noise_std": 0.3}
    probe = theory.source_ridge_risk(angle, 0.5, 0.4, INF, **options)
    np.testing.assert_allclose(probe, theory.linear_transfer_risk(angle, 0.4, **options), rtol=1e-12)
    least = theory.optimal_source_ridge_risk(angle, 0.5, 0.4)
    assert np.all(least <= theory.optimal_ridge_risk(0.5, 0.4) + 1e-12)
    assert np.all(least <= theory.linear_transfer_risk(angle, 0.4) + 1e-12)
    assert np.isinf(theory.source_ridge_risk(0.5, 0.5, 0.4, 0.1, num_samples=2))
    assert np.isinf(theory.source_ridge_risk(0.5, 1.0, 0.4, 0.0))
    np.testing.assert_allclose(
        theory.l2sp_risk(angle, 0.5, 0.4, 0.0), theory.fine_tuning_risk(angle, 0.5, 0.4, published=True), rtol=1e-10
    )
    assert theory.l2sp_risk(0.0, 0.5, 0.4, INF) == 0.0
    assert np.isfinite(jax.grad(lambda t: theory.optimal_l2sp_risk(t, 0.5, 0.4))(0.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.l2sp_risk(0.5, 0.5, 0.2, -0.1), "penalty"),
        (lambda: theory.source_ridge_risk(0.5, 0.5, 0.2, -0.1), "penalty"),
        (lambda: theory.layerwise_l2sp_risk(0.5, 0.5, 0.2, -0.1), "weight_decay"),
        (lambda: theory.layerwise_l2sp_risk(0.5, 0.5, 0.2, 0.1, depth=0), "depth"),
        (lambda: theory.layerwise_l2sp_risk(0.5, 0.5, 0.2, 0.1, source_norm=0.0), "source_norm"),
        (lambda: theory.optimal_l2sp_risk(4.0, 0.5, 0.2), "overlap_angle"),
        (lambda: theory.optimal_source_ridge_risk(0.4, 0.0, 0.2), "sample_ratio"),
        (lambda: theory.tuned_break_even_angle(target_norm=0.0), "target_norm"),
        (lambda: theory.optimal_linear_transfer_risk(0.4, 0.2, num_samples=0), "num_samples"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
