"""Fine-tuning: the endpoint against real descent, its mean against drawn data sets, the root, limits and poles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_simulation import INF, descend, fine_tuned, labelled, min_norm, pair, risk, z_score

from tlx import theory
from tlx.theory._fixed_point import norm_root


@pytest.mark.parametrize("angle", [np.pi / 4, 0.8 * np.pi])
def test_endpoint_is_where_real_networks_go(angle):
    """Two-layer networks by gradient descent, data set by data set, as the step shrinks; the published end is wrong."""
    rng, dim, samples, noise = np.random.default_rng(0), 40, 16, 1.0
    target, source = pair(dim, angle)
    inputs, labels = labelled(rng, 12, samples, target, noise)
    exact, scratch = fine_tuned(inputs, labels, source, 2)
    gaps = []
    for step in (0.02, 0.01):
        reached = descend(inputs, labels, source, 3, step, int(80 / step))
        gaps.append(np.linalg.norm(reached - exact, axis=-1).mean())
    published = scratch + source - (exact - scratch) * 0 - fitted_source(inputs, source)
    assert gaps[0] < 0.03
    assert 0.35 < gaps[1] / gaps[0] < 0.65  # first order in the step
    assert np.linalg.norm(reached - published, axis=-1).mean() > 10 * gaps[1]


def fitted_source(inputs, source):
    """P beta_s of every data set."""
    return min_norm(inputs, inputs @ source)


CASES = [
    # angle, ratio, noise, depth, target norm, source norm
    (np.pi / 4, 0.5, 1.0, 2, 1.0, 1.0),
    (np.pi / 4, 0.5, 1.0, 4, 1.0, 1.0),
    (np.pi / 4, 0.5, 0.0, 2, 2.0, 1.0),
    (np.pi / 8, 0.3, 0.2, 3, 1.0, 1.0),
    (2.5, 0.8, 0.2, 2, 1.0, 1.0),
    (0.0, 0.9, 0.5, 2, 1.0, 0.5),
    (np.pi / 3, 0.1, 1.0, 10, 2.0, 1.0),
    (np.pi / 3, 0.6, 0.7, 1, 1.0, 1.0),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dim", [20, 100])
def test_mean_against_drawn_data(case, dim):
    angle, ratio, noise, depth, norm, source_norm = case
    rng, count = np.random.default_rng(dim + int(10 * ratio)), 4000 if dim == 20 else 1000
    target, source = pair(dim, angle, norm, source_norm)
    tuned, scratch = fine_tuned(*labelled(rng, count, round(ratio * dim), target, noise), source, depth)
    options = {"depth": depth, "target_norm": norm, "source_norm": source_norm}
    exact = float(theory.fine_tuning_risk(angle, ratio, noise, dim=dim, **options))
    assert abs(z_score(risk(tuned, target), exact)) < 4  # 16 cases, 1,000 or 4,000 data sets each
    # Paired with scratch on the same data, the noise of both cancels: a sharper test of the gain.
    saved = risk(scratch, target) - risk(tuned, target)
    gain = float(theory.fine_tuning_gain(angle, ratio, noise, dim=dim, **options))
    assert abs(z_score(saved, gain)) < 4


@pytest.mark.parametrize("depth", [2, 4])
def test_published_form_is_rejected_at_noise_one(depth):
    rng, dim, angle = np.random.default_rng(depth), 100, np.pi / 4
    target, source = pair(dim, angle)
    tuned, scratch = fine_tuned(*labelled(rng, 1500, 50, target, 1.0), source, depth)
    options = {"depth": depth, "dim": dim}
    published = float(theory.fine_tuning_risk(angle, 0.5, 1.0, published=True, **options))
    assert z_score(risk(tuned, target), published) > 5
    assert abs(z_score(risk(tuned, target), float(theory.fine_tuning_risk(angle, 0.5, 1.0, **options)))) < 4
    saved = risk(scratch, target) - risk(tuned, target)
    assert z_score(saved, float(theory.fine_tuning_gain(angle, 0.5, 1.0, published=True, **options))) < -20


@pytest.mark.slow
@pytest.mark.parametrize("source_ratio", [0.5, 1.5])
@pytest.mark.parametrize(("noise", "source_noise", "dim"), [(0.2, 0.2, 100), (0.5, 1.0, 40)])
def test_finite_source_against_drawn_data(source_ratio, noise, source_noise, dim):
    rng, angle, count = np.random.default_rng(dim), np.pi / 4, 1500
    target, source = pair(dim, angle, 1.3, 1.0)
    learned = min_norm(*labelled(rng, count, int(source_ratio * dim), source, source_noise))
    tuned, scratch = fine_tuned(*labelled(rng, count, dim // 2, target, noise), learned, 3)
    saved = risk(scratch, target) - risk(tuned, target)
    options = {"depth": 3, "target_norm": 1.3, "source_ratio": source_ratio, "source_noise_std": source_noise}
    gain = float(theory.fine_tuning_gain(angle, 0.5, noise, dim=dim, **options))
    assert abs(z_score(saved, gain)) < 4  # 4 cases, 1,500 pairs of data sets each
    published = float(theory.fine_tuning_gain(angle, 0.5, noise, published=True, **options))
    assert abs(z_score(saved, published)) > 5
    size = np.sqrt(np.mean(np.sum(learned**2, -1)))
    norm = float(theory.pretrained_norm(source_ratio, source_noise, dim=dim))
    assert size == pytest.approx(norm, rel=4 * np.std(np.sum(learned**2, -1)) / size**2 / np.sqrt(count) / 2)


@pytest.mark.slow
def test_finite_dimension_tends_to_the_limit(x64):
    angles, options = jnp.array([0.3, 1.2, 2.5]), {"depth": 3, "source_ratio": 1.5, "source_noise_std": 0.5}
    limit = theory.fine_tuning_risk(angles, 0.6, 0.5, **options)
    gaps = [theory.fine_tuning_risk(angles, 0.6, 0.5, dim=dim, **options) - limit for dim in (1e3, 1e4)]
    np.testing.assert_allclose(gaps[0] / gaps[1], 10.0, rtol=0.05)


def test_root_solves_its_equation(x64):
    offset = jnp.array([0.0, 1e-12, 1e-3, 1.0, 1e6])[:, None, None]
    share = jnp.array([0.0, 1e-9, 0.1, 0.999, 1.0, 5.0])[None, :, None]
    exponent = jnp.array([0.0, 0.5, 0.9, 0.99])[None, None]
    offset, share, exponent = jnp.broadcast_arrays(offset, share, exponent)
    root = norm_root(offset, share, exponent)
    live = (offset > 0) | (share ** (1 / (1 - exponent)) > 0)  # 1e-9^100 is below the smallest float64: exactly 0
    np.testing.assert_array_equal(root[~live], 0.0)
    residual = (offset + share * root**exponent - root)[live] / root[live]
    np.testing.assert_allclose(residual, 0.0, atol=1e-11)
    power = share ** (1 / (1 - exponent))
    np.testing.assert_allclose(root[0, 1:], power[0, 1:], rtol=1e-9)  # offset 0
    np.testing.assert_array_equal(norm_root(jnp.array([INF]), jnp.array([0.5]), jnp.array([0.5])), INF)


@pytest.mark.slow
def test_root_derivatives(x64):
    def root(p):
        return norm_root(p[0], p[1], p[2])

    for point in ([0.7, 0.4, 0.5], [0.0, 0.6, 0.75], [3.0, 0.9, 0.0]):
        point, h = jnp.array(point), 1e-6
        moves = h * jnp.eye(3)
        forward = [0.0 if point[k] == 0 else 1.0 for k in range(3)]  # p and a live on [0, inf): one-sided at the edge
        numeric = [(root(point + m) - root(point - f * m)) / ((1 + f) * h) for m, f in zip(moves, forward, strict=True)]
        np.testing.assert_allclose(jax.grad(root)(point), jnp.stack(numeric), rtol=2e-5, atol=1e-6)
    second = jax.hessian(root)(jnp.array([0.7, 0.4, 0.5]))
    numeric = [(jax.grad(root)(jnp.array([0.7, 0.4, 0.5]) + m) - jax.grad(root)(jnp.array([0.7, 0.4, 0.5]) - m)) / 2e-6
               for m in 1e-6 * jnp.eye(3)]  # fmt: skip
    np.testing.assert_allclose(second, jnp.stack(numeric), rtol=1e-6)


def test_where_the_forms_agree(x64):
    angles, ratios = jnp.linspace(0, np.pi, 5)[:, None], jnp.array([0.1, 0.5, 0.95, 1.3])[None]
    for options in (
        {"depth": 1, "noise_std": 0.8, "target_norm": 2.0},
        {"depth": 5, "noise_std": 0.0},
        {"depth": 3, "noise_std": 0.0, "target_norm": 0.7, "source_norm": 0.7},
    ):
        exact = theory.fine_tuning_risk(angles, ratios, **options)
        np.testing.assert_allclose(
            exact, theory.fine_tuning_risk(angles, ratios, published=True, **options), rtol=1e-12
        )
    apart = theory.fine_tuning_risk(angles, ratios, 0.5) - theory.fine_tuning_risk(angles, ratios, 0.5, published=True)
    assert np.all(np.abs(apart[:, :3]) > 1e-4)
    np.testing.assert_array_equal(apart[:, 3], 0.0)


def test_published_forms_as_printed(x64):
    angles, ratios = jnp.linspace(0, np.pi, 5)[:, None], jnp.array([0.1, 0.5, 0.95, 1.0, 1.3])[None]
    gain = theory.fine_tuning_gain(angles, ratios, 0.4, published=True)
    printed = jnp.where(ratios < 1, (1 - ratios) * (2 * jnp.cos(angles) - 1), 0.0)  # Theorem 3.9
    np.testing.assert_allclose(gain, printed, atol=1e-14)
    for source_ratio, noise in ((0.5, 0.3), (1.5, 0.7)):  # Theorem C.1
        gain = theory.fine_tuning_gain(
            angles, ratios, 0.4, published=True, source_ratio=source_ratio, source_noise_std=noise
        )
        factor, excess = (source_ratio, 1 - source_ratio) if source_ratio < 1 else (1.0, source_ratio - 1)
        printed = (ratios - 1) * factor * (1 - 2 * jnp.cos(angles) + noise**2 / excess)
        np.testing.assert_allclose(gain, jnp.where(ratios < 1, printed, 0.0), atol=1e-14)


def test_more_samples_than_dimensions_is_scratch(x64):
    ratios = jnp.array([1.2, 2.0, 5.0])
    for dim in (None, 50):
        tuned = theory.fine_tuning_risk(0.4, ratios, 0.5, target_norm=2.0, dim=dim)
        np.testing.assert_array_equal(tuned, theory.scratch_risk(ratios, 0.5, target_norm=2.0, dim=dim))


@pytest.mark.slow
def test_poles(x64):
    assert np.isposinf(theory.fine_tuning_risk(0.4, 1.0, 0.5))
    assert float(theory.fine_tuning_risk(0.4, 1.0, 0.0)) == 0.0
    np.testing.assert_array_equal(theory.fine_tuning_risk(0.4, jnp.array([0.99, 1.0, 1.01]), 0.5, dim=100), np.inf)
    gains = theory.fine_tuning_gain(0.4, 1 - jnp.array([1e-3, 1e-6, 1e-9, 0.0]), 0.5)
    assert np.all(np.diff(np.abs(gains)) < 0)  # the gain vanishes at g = 1 although both risks are infinite
    assert float(gains[-1]) == 0.0
    source = {"source_ratio": 1.0, "source_noise_std": 0.3}
    for dim in (None, 100):
        assert np.isposinf(theory.fine_tuning_risk(0.4, 0.5, 0.5, dim=dim, **source))
        assert np.isneginf(theory.fine_tuning_gain(0.4, 0.5, 0.5, dim=dim, **source))
        np.testing.assert_array_equal(
            theory.fine_tuning_risk(0.4, 1.5, 0.5, dim=dim, **source), theory.scratch_risk(1.5, 0.5, dim=dim)
        )
        silent = theory.fine_tuning_risk(0.4, 0.5, 0.5, dim=dim, source_ratio=1.0)
        np.testing.assert_allclose(silent, theory.fine_tuning_risk(0.4, 0.5, 0.5, dim=dim), rtol=1e-12)


@pytest.mark.slow
def test_source_to_population(x64):
    for dim in (None, 200):
        near = theory.fine_tuning_risk(0.7, 0.5, 0.3, source_ratio=1e8, source_noise_std=0.5, dim=dim)
        exact = theory.fine_tuning_risk(0.7, 0.5, 0.3, dim=dim)
        np.testing.assert_allclose(near, exact, rtol=1e-7)
        endless = theory.fine_tuning_risk(0.7, 0.5, 0.3, source_ratio=INF, source_noise_std=0.5, dim=dim)
        np.testing.assert_allclose(endless, exact, rtol=1e-14)


def test_empty_source_and_empty_target(x64):
    np.testing.assert_allclose(theory.fine_tuning_risk(0.7, 0.5, 0.3, source_norm=0.0), theory.scratch_risk(0.5, 0.3))
    nothing = theory.fine_tuning_risk(0.7, 0.5, 0.0, target_norm=0.0, depth=3)
    np.testing.assert_allclose(nothing, 0.5 * 0.5**2, rtol=1e-12)  # c^2 = (1 - g)^{L-1}
