"""Means, standard errors, and what is left out of them."""

import numpy as np

from tlx import stats


def test_unusable_and_missing_instances_are_left_out_and_counted():
    values = np.array([[1.0, 2.0, 3.0, np.nan], [5.0, 5.0, 1e9, 5.0], [np.nan] * 4])
    usable = np.array([[1, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]], bool)
    found = stats.estimate(values, usable)
    np.testing.assert_array_equal(found.count, [3, 3, 0])
    np.testing.assert_allclose(found.mean[:2], [2.0, 5.0])
    np.testing.assert_allclose(found.standard_error[0], 1 / np.sqrt(3))
    assert np.isnan(found.mean[2])
    assert np.isnan(found.standard_error[2])


def test_a_failed_lane_never_reaches_a_mean_even_if_it_is_called_usable():
    found = stats.estimate(np.array([1.0, np.nan, np.inf]), np.array([True, True, True]))
    assert found.mean == 1.0
    assert found.count == 1


def test_z_is_in_standard_errors_and_absent_at_poles():
    rng = np.random.default_rng(0)
    draws = rng.normal(2.0, 3.0, (5000, 25))
    z = stats.z_score(stats.estimate(draws), 2.0)
    # t with 24 degrees of freedom: variance 24/22
    assert abs(np.var(z) - 24 / 22) < 4 * np.sqrt(2.6 / 5000)
    assert np.isnan(stats.z_score(stats.estimate(draws[0]), np.inf))
