"""The overlap of features with a target, against linear algebra written out and against its own scatter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.nonlinear.models import MeanField
from tlx.nonlinear.overlap import exact_moments, feature_overlap
from tlx.nonlinear.teachers import teacher_pair

DIM, WIDTH = 5, 4


@pytest.fixture
def pair(x64):
    return teacher_pair(jax.random.key(3), "rotation", 0.8, dim=DIM, num_neurons=WIDTH)


def test_moments_are_means_over_inputs_of_features_over_the_root_of_the_width(pair):
    inputs = np.random.default_rng(0).standard_normal((400_000, DIM))
    features = np.maximum(inputs @ np.asarray(pair.source.neurons).T, 0) / np.sqrt(WIDTH)
    labels = np.asarray(MeanField(DIM, WIDTH).apply(pair.target, jnp.asarray(inputs)))
    found = exact_moments(pair.source, pair.target, "relu")
    for exact, rows in (
        (found.covariance, features[:, :, None] * features[:, None, :]),
        (found.cross, features * labels[:, None]),
        (found.power, labels**2),
    ):
        assert np.max(np.abs((rows.mean(0) - np.asarray(exact)) / (rows.std(0) / np.sqrt(len(rows))))) < 4.5


@pytest.mark.parametrize("ridge", [0.0, 0.02, 0.5])
def test_a_ridge_keeps_what_ridge_regression_on_infinite_data_explains(pair, ridge):
    covariance, cross, power = exact_moments(pair.source, pair.target, "relu")
    fit = jnp.linalg.solve(covariance + ridge * jnp.eye(WIDTH), cross)
    risk = power - 2 * fit @ cross + fit @ covariance @ fit
    found = feature_overlap(pair.source, pair.target, cutoffs=(), ridges=(ridge,), activation="relu")
    np.testing.assert_allclose(found.overlap[0], 1 - risk / power, rtol=1e-9)
    degrees = jnp.trace(jnp.linalg.solve(covariance + ridge * jnp.eye(WIDTH), covariance))
    np.testing.assert_allclose(found.num_features[0], degrees, rtol=1e-9)


def test_a_cutoff_is_relative_to_the_largest_eigenvalue_of_the_features(pair):
    covariance, cross, power = exact_moments(pair.source, pair.target, "relu")
    values, directions = np.linalg.eigh(np.asarray(covariance))
    for count in range(1, WIDTH):  # a cut-off halfway between two eigenvalues keeps the ones above
        between = (values[-count] + values[-count - 1]) / 2 / values[-1]
        found = feature_overlap(pair.source, pair.target, cutoffs=(float(between),), activation="relu")
        assert found.num_features[0] == count
        kept = directions[:, -count:].T @ np.asarray(cross)
        np.testing.assert_allclose(found.overlap[0], np.sum(kept**2 / values[-count:]) / power, rtol=1e-9)


def test_the_standard_error_is_the_scatter_of_independent_samples(pair):
    model = MeanField(DIM, WIDTH)

    def one(key):
        found = feature_overlap(
            lambda x: model.features(pair.source, x), lambda x: model.apply(pair.target, x), key=key, dim=DIM,
            cutoffs=(0.0,), ridges=(0.05,), num_samples=2000,
        )  # fmt: skip
        return found.overlap, found.standard_error

    values, errors = jax.lax.map(one, jax.random.split(jax.random.key(5), 200))
    scatter = values.std(axis=0, ddof=1)  # known to 5 %, and each error to a sixth: their mean to 1 %
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(errors**2, axis=0)), scatter, rtol=0.2)
