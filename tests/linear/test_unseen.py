"""The factor c of one network, and the published end of its data."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear import unseen
from tlx.linear.engines import engine
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer

SETTING = LinearSetting(
    dim=14,
    depth=3,
    noise_std=0.8,
    pretraining="limit",
    init_scale=1e-3,
    fine_tune=Optimizer(0.04, 9000, tolerance=1e-7),
)


@pytest.mark.slow
def test_one_trained_layer_keeps_c_at_one_and_all_layers_keep_balance(key, x64):
    """c = 1 with layer 1 alone; with all of them c = (|beta|/|beta_pre|)^((L-1)/L), here checked at a small step."""
    one = engine("full")
    first = unseen.watch(one, dataclasses.replace(SETTING, trained_layers=(1,)), key, 8, 0.9)
    np.testing.assert_allclose(first.balance, 1.0, atol=1e-5)
    np.testing.assert_allclose(first.fine_tuning_risk, first.published_risk, rtol=1e-4)
    flow = unseen.watch(engine("flow"), SETTING, key, 8, 0.9)
    whole = unseen.watch(one, SETTING, key, 8, 0.9)
    assert abs(float(flow.balance) - 1) > 0.02
    assert abs(float(whole.balance) - float(flow.balance)) < 0.3 * abs(float(flow.balance) - 1)
    np.testing.assert_allclose(flow.published_risk, first.published_risk, rtol=1e-9)


@pytest.mark.slow
def test_balance_starts_at_one_and_is_no_number_where_everything_is_seen(key):
    setting = dataclasses.replace(SETTING, times=(0.0, 1.0), fine_tune=Optimizer(0.04, 100))
    found = unseen.watch_lanes("spectral", setting, key, np.arange(2), 8, 0.9)
    np.testing.assert_allclose(found.balance_over_time[:, 0], 1.0, rtol=1e-5)
    assert found.risk_over_time.shape == (2, 2)
    assert np.all(np.isnan(unseen.watch_lanes("spectral", setting, key, np.arange(1), 20, 0.9).balance))


def test_impossible_lanes_are_refused(key):
    with pytest.raises(ValueError, match="overlap_angles"):
        unseen.watch_lanes("spectral", SETTING, key, np.arange(2), 8, jnp.asarray(4.0))
