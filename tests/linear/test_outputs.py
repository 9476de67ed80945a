"""Networks of several outputs: their teachers, their refits on drawn data, and what turned output vectors do."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import stats, theory
from tlx.linear import outputs
from tlx.linear.matrix_task import OutputsSetting, teachers
from tlx.train import Optimizer

SETTING = OutputsSetting(
    (0.5, 1.2), (1.3, 0.8), (1.0, 0.7), dim=24, noise_std=0.6, optimizer=Optimizer(0.04, 6000, tolerance=1e-5)
)


@pytest.mark.parametrize("turn", [0.0, 1.2])
def test_teachers_have_the_angles_and_singular_values_asked_for(turn, key, x64):
    pair = teachers(key, SETTING, turn)
    spans = [np.linalg.svd(np.asarray(matrix), full_matrices=False) for matrix in (pair.source, pair.target)]
    np.testing.assert_allclose([s[1] for s in spans], [SETTING.source_values, SETTING.target_values])
    cosines = np.linalg.svd(spans[0][0].T @ spans[1][0])[1]
    np.testing.assert_allclose(cosines, np.cos([0.5, 1.2]))
    between = np.abs(spans[0][2] @ spans[1][2].T)  # output vectors against output vectors, up to signs
    np.testing.assert_allclose(np.diag(between), np.cos(turn), atol=1e-12)


@pytest.mark.parametrize("depth", [2, 4])
def test_the_pretrained_network_is_balanced_and_computes_the_source(depth, key, x64):
    setting = dataclasses.replace(SETTING, depth=depth)
    pair = teachers(key, setting, 0.3)
    layers = outputs.pretrained(setting, pair)
    np.testing.assert_allclose(outputs.product(layers), pair.source, atol=1e-12)
    for left, right in itertools.pairwise(layers):
        np.testing.assert_allclose(left.T @ left, right @ right.T, atol=1e-12)


@pytest.mark.slow
def test_refits_are_those_of_the_data(key, x64):
    """The minimum-norm fit and the probe, against least squares on the rows; n below and above d."""
    pair = teachers(key, SETTING, 0.4)
    for count in (9, 40):
        sample = outputs.draw(key, pair.target, 0.6, jnp.asarray(count), 40)
        rows = outputs.draw(key, pair.target, 0.6, jnp.asarray(count), 64)  # more rows held, none of them seen
        np.testing.assert_allclose(sample.eigenvalues, rows.eigenvalues, atol=1e-12)
        gram = sample.basis @ (sample.eigenvalues[:, None] * sample.basis.T)
        cross = sample.basis @ sample.cross
        features = pair.inputs * 0.7
        refit = np.linalg.solve(features.T @ gram @ features, features.T @ cross)
        found = sample.basis @ outputs.probe(sample.basis.T @ features, sample)
        np.testing.assert_allclose(found, features @ refit, atol=1e-9)
        assert int(sample.unseen.sum()) == max(24 - count, 0)


@pytest.mark.slow
def test_one_lane_alone_is_the_lane_in_a_batch(key):
    setting = dataclasses.replace(SETTING, optimizer=Optimizer(0.04, 100))
    many = outputs.output_lanes(setting, key, np.arange(3)[:, None], 9, np.array([0.0, 1.2]))
    one = outputs.output_lanes(setting, key, np.array([2]), 9, np.array([1.2]))
    for batched, alone in zip(many, one, strict=True):
        np.testing.assert_allclose(batched[2, 1], alone[0], rtol=1e-4)


@pytest.mark.slow
def test_shared_output_vectors_are_a_sum_and_turned_ones_are_not(key):
    """n = d/2, 60 instances: probe and sum within 4 standard errors, the sum rejected by more than 5 where turned."""
    setting = dataclasses.replace(SETTING, dim=60, noise_std=0.3)
    found = outputs.output_lanes(setting, key, np.arange(60)[:, None], 30, np.array([0.0, 1.2]))
    values = {"target_values": np.asarray(setting.target_values), "source_values": np.asarray(setting.source_values)}
    summed = float(theory.multi_output_fine_tuning_risk(np.array([0.5, 1.2]), 0.5, 0.3, **values))
    z = stats.z_score(stats.estimate(found.fine_tuning_risk, axis=0), summed)
    assert abs(z[0]) < 4
    assert abs(z[1]) > 5
    pair = teachers(key, setting, 1.2)
    exact = float(theory.multi_output_linear_transfer_risk(pair.target, pair.source, 0.3, num_samples=30))
    assert np.all(np.abs(stats.z_score(stats.estimate(found.linear_transfer_risk, axis=0), exact)) < 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 1}, "depth = 1"),
        ({"dim": 3}, "dim = 3 has no room"),
        ({"overlap_angles": (0.5,)}, "one number for each output"),
        ({"source_values": (1.0, 0.0)}, "source_values"),
        ({"noise_std": -1.0}, "noise_std"),
    ],
)
def test_impossible_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SETTING, **options)


def test_impossible_lanes_are_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="turns"):
        outputs.output_lanes(SETTING, key, np.arange(2), 9, np.array([4.0, 0.0]))
    with pytest.raises(ValueError, match="rows = 5"):
        outputs.output_lanes(SETTING, key, np.arange(2), 9, 0.0, rows=5)
