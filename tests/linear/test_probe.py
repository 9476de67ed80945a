"""Linear transfer: the ridge it says, the cut-off it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import linalg
from tlx.linear import data, probe
from tlx.linear import task as tasks
from tlx.linear.setting import LinearSetting


@pytest.fixture
def sample(x64, key):
    pair = tasks.linear_pair(key, 0.5, tasks.power_law_spectrum(9))
    return data.draw(key, pair.target, pair.spectrum, 0.4, 30)


def test_probe_is_ridge_regression_on_the_features(sample, key):
    inputs, labels = sample
    features = jax.random.normal(key, (9, 4))
    ridges = (0.0, 0.1, 2.0)
    found = probe.linear_transfer(features, data.moments(inputs, labels), ridges, 0.0)
    design = np.asarray(inputs @ features)
    for predictor, ridge in zip(found.predictors, ridges, strict=True):
        normal = design.T @ design + len(labels) * ridge * np.eye(4)
        expected = features @ np.linalg.solve(normal, design.T @ labels)
        np.testing.assert_allclose(predictor, expected, rtol=1e-8)
    assert int(found.num_features) == 4


def test_ridge_zero_is_the_minimum_norm_fit(sample, key):
    inputs, labels = (a[:5] for a in sample)
    features = jax.random.normal(key, (9, 8))
    found = probe.linear_transfer(features, data.moments(inputs, labels), (0.0,), 0.0)
    expected = features @ (np.linalg.pinv(np.asarray(inputs @ features)) @ labels)
    np.testing.assert_allclose(found.predictors[0], expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(inputs @ found.predictors[0], labels, rtol=1e-7)


def test_directions_below_the_cutoff_are_not_used_and_the_count_is_reported(sample, key):
    inputs, labels = sample
    rotation, _ = jnp.linalg.qr(jax.random.normal(key, (9, 9)))
    features = rotation * jnp.asarray([1.0, 0.5, 1e-3, 1e-4, *[0.0] * 5])[None, :]
    moments = data.moments(inputs, labels)
    for cutoff, count in ((0.6, 1), (0.1, 2), (5e-4, 3), (0.0, 4)):
        found = probe.linear_transfer(features, moments, (0.0,), cutoff)
        assert int(found.num_features) == count
        kept = np.asarray(rotation[:, :count])
        expected = kept @ np.linalg.lstsq(np.asarray(inputs) @ kept, np.asarray(labels), rcond=None)[0]
        np.testing.assert_allclose(found.predictors[0], expected, rtol=1e-5, atol=1e-8)


def test_cosine_of_a_vanishing_vector_is_zero():
    assert float(linalg.cosine(jnp.zeros(3), jnp.ones(3))) == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_std", -0.1),
        ("depth", 0),
        ("dim", 1),
        ("width", 0),
        ("feature_cutoff", 1.0),
        ("feature_cutoff", -0.1),
        ("ridges", (-1.0,)),
        ("ridges", ()),
        ("weight_decays", ()),
        ("target_norm", 0.0),
        ("init_scale", 0.0),
        ("start", "zero"),
        ("pretraining", "none"),
        ("source_samples", 0),
        ("covariance_exponent", -1.0),
    ],
)
def test_bad_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        LinearSetting(**{name: value})
