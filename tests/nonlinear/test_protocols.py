"""What one pair does with its sample, where that can be told exactly: starts, label noise, failed lanes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import nonlinear
from tlx.nonlinear import MeanField, NonlinearSetting, protocols
from tlx.train import Optimizer, Status

pytestmark = pytest.mark.slow

STILL = Optimizer(1e-12, 1, tolerance=0.0)  # a descent that goes nowhere
SETTING = NonlinearSetting(
    MeanField(5, 8), num_teacher_neurons=3, sizes=(40,), noise_std=0.3, cutoff=1e-2,
    pretrain=Optimizer(0.1, 60, tolerance=0.0), scratch=STILL, fine_tune=STILL,
)  # fmt: skip
KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def pair():
    with jax.enable_x64(True):
        prepared, _ = jax.jit(nonlinear.prepare)(SETTING, KEY, 1 / 3)
    return prepared


def transferred(prepared, setting=SETTING):
    with jax.enable_x64(True):
        return jax.jit(nonlinear.transfer)(setting, KEY, prepared, 0)


def test_fine_tuning_starts_from_the_source_and_lp_ft_from_its_probe(pair):
    found = transferred(pair)
    with jax.enable_x64(True):
        as_it_is = protocols.risk(SETTING, KEY, pair.weights, pair.target)
    np.testing.assert_allclose(found.fine_tuning_risk, as_it_is, rtol=1e-6)
    np.testing.assert_allclose(found.lp_ft_risk, found.linear_transfer_risk, rtol=1e-6)
    assert abs(float(found.linear_transfer_risk / as_it_is) - 1) > 0.01


def test_what_was_pretrained_to_no_good_end_has_no_risk_however_finite_its_weights(pair):
    failed = transferred(pair._replace(status=jnp.asarray(Status.DIVERGED)))
    for name in ("linear_transfer_risk", "ridge_transfer_risk", "fine_tuning_risk", "lp_ft_risk"):
        assert np.isnan(getattr(failed, name)), name
        assert np.isfinite(getattr(transferred(pair), name)), name
    assert failed.fine_tuning_status == transferred(pair).fine_tuning_status


def test_training_from_scratch_that_diverges_has_no_risk():
    wild = dataclasses.replace(SETTING, scratch=Optimizer(4.0, 3, tolerance=0.0))  # its weights stay finite
    calm, found = (jax.jit(nonlinear.from_scratch)(setting, KEY, 0) for setting in (SETTING, wild))
    assert np.isfinite(calm.risk)
    assert found.status in (Status.DIVERGED, Status.NON_FINITE)
    assert np.isnan(found.risk)


def test_labels_hold_the_noise_that_was_asked_for(pair):
    many = dataclasses.replace(SETTING, sizes=(4000,))
    clean = dataclasses.replace(many, noise_std=0.0)
    with jax.enable_x64(True):
        noisy, exact = (protocols.target_sample(setting, KEY, pair.target) for setting in (many, clean))
    np.testing.assert_array_equal(noisy.inputs, exact.inputs)
    noise = np.asarray(noisy.labels - exact.labels)
    assert abs(noise.mean()) < 4 * 0.3 / 4000**0.5
    assert abs(noise.std() / 0.3 - 1) < 4 / (2 * 4000) ** 0.5
