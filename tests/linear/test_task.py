"""Linear pairs: norms, angles, covariance, exact risk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear import task as tasks


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, np.pi])
def test_norms_and_angle_are_exact(x64, key, angle):
    pair = tasks.linear_pair(key, angle, tasks.power_law_spectrum(30, 1.0), target_norm=2.0, source_norm=0.5)
    assert np.isclose(jnp.linalg.norm(pair.target), 2.0, rtol=1e-12)
    assert np.isclose(jnp.linalg.norm(pair.source), 0.5, rtol=1e-12)
    assert np.isclose(pair.target @ pair.source, np.cos(angle), atol=1e-12)


def test_the_target_does_not_move_with_the_angle(key):
    spectrum = tasks.power_law_spectrum(10)
    one, two = (tasks.linear_pair(key, a, spectrum).target for a in (0.1, 1.4))
    np.testing.assert_array_equal(one, two)


def test_power_law_has_mean_one_and_the_stated_exponent(x64):
    spectrum = tasks.power_law_spectrum(50, 1.5)
    assert np.isclose(spectrum.mean(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(spectrum[0] / spectrum[9], 10**1.5, rtol=1e-12)
    np.testing.assert_array_equal(tasks.power_law_spectrum(5), np.ones(5))


def test_risk_is_the_expected_squared_error(key):
    spectrum = tasks.power_law_spectrum(8, 1.0)
    pair = tasks.linear_pair(key, 1.0, spectrum)
    inputs = jax.random.normal(key, (200_000, 8)) * jnp.sqrt(spectrum)[None, :]
    errors = (inputs @ (pair.source - pair.target)) ** 2
    standard_error = errors.std() / np.sqrt(errors.size)
    assert abs(errors.mean() - tasks.risk(pair.source, pair.target, spectrum)) < 4 * standard_error


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"overlap_angle": -0.1}, "overlap_angle"),
        ({"overlap_angle": 3.2}, "overlap_angle"),
        ({"target_norm": 0.0}, "target_norm"),
        ({"source_norm": -1.0}, "source_norm"),
    ],
)
def test_bad_pairs_are_refused(key, arguments, name):
    with pytest.raises(ValueError, match=name):
        tasks.linear_pair(key, **{"overlap_angle": 0.5, "spectrum": jnp.ones(5), **arguments})
