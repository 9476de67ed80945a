"""The three engines carry out the same protocol on the same draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear import steps as pace
from tlx.linear.engines import engine
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer, Status

pytestmark = [pytest.mark.slow, pytest.mark.extended]


@functools.partial(jax.jit, static_argnums=0)
def lane(name, setting, key, num_samples, angle):
    prepared, scratch = engine(name).prepare(setting, key, num_samples)
    return scratch, engine(name).transfer(setting, prepared, angle)


def setting(**changes):
    rule = Optimizer(0.02, 1500, tolerance=1e-4)
    rules = {"pretrain": rule, "scratch": rule, "fine_tune": rule}
    defaults = {"dim": 40, "noise_std": 0.5, "ridges": (0.0, 0.3), "weight_decays": (0.0, 0.05)}
    return LinearSetting(**{**defaults, **rules, **changes})


VARIANTS = {
    "population": {},
    "finite source": {"source_samples": 30, "source_noise_std": 0.4},
    "power law": {"covariance_exponent": 0.7, "pretraining": "limit"},
    "norms": {"target_norm": 1.7, "source_norm": 0.6},
    "depth 1": {"depth": 1},
    "depth 3": {"depth": 3, "start": "balanced", "init_scale": 0.3, "source_samples": 60},
    "limit of a sample": {"depth": 3, "pretraining": "limit", "source_samples": 20, "start": "balanced",
                          "init_scale": 0.3},
    "momentum": {"scratch": Optimizer(0.01, 900, momentum=0.8, tolerance=1e-4),
                 "fine_tune": Optimizer(0.01, 900, momentum=0.8, weight_decay=0.02, tolerance=1e-4)},
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("num_samples", [15, 70])
def test_spectral_is_full_lane_by_lane(x64, key, variant, num_samples):
    """Same key, same draw, same steps: risks to O(init_scale), statuses and step counts exactly."""
    own = setting(**VARIANTS[variant])
    (scratch, expected), (fast_scratch, found) = (lane(n, own, key, num_samples, 0.9) for n in ("full", "spectral"))
    # full knows the largest eigenvalue to about a percent, by power iteration; spectral exactly
    rates = fast_scratch.stable_learning_rate, scratch.stable_learning_rate
    np.testing.assert_allclose(*rates, rtol=1e-2)
    scratch = scratch._replace(stable_learning_rate=rates[0])
    for one, other in zip(jax.tree.leaves((fast_scratch, found)), jax.tree.leaves((scratch, expected)), strict=True):
        if jnp.issubdtype(one.dtype, jnp.floating):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6)
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param("population", marks=pytest.mark.slow),
        pytest.param("finite source", marks=pytest.mark.slow),
        "depth 3",
    ],
)
def test_flow_is_the_limit_of_spectral(x64, key, variant):
    """Every number of a lane, at first order in the step."""
    changes = {**VARIANTS[variant], "start": "random", "init_scale": 1e-5}
    gaps = []
    for rate in (0.02, 0.01):
        rule = Optimizer(rate, 200_000, tolerance=1e-8)
        own = setting(**{**changes, "pretrain": rule, "scratch": rule, "fine_tune": rule})
        scratch, found = lane("spectral", own, key, 20, 0.9)
        assert jnp.all(scratch.status == Status.CONVERGED)
        assert found.fine_tuning_status == Status.CONVERGED
        expected_scratch, expected = lane("flow", own, key, 20, 0.9)
        np.testing.assert_allclose(scratch.risk, expected_scratch.risk, rtol=1e-4, atol=1e-6)
        gaps.append(abs(float(found.fine_tuning_risk - expected.fine_tuning_risk)))
        np.testing.assert_allclose(found.linear_transfer_risk, expected.linear_transfer_risk, rtol=1e-2)
    assert gaps[0] > 1e-5
    assert 1.6 < gaps[0] / gaps[1] < 2.4


@pytest.mark.parametrize("variant", ["depth 1", "population", "finite source", "depth 3"])
def test_risks_over_time_are_those_of_every_engine(x64, key, variant):
    """Spectral is full at each recorded time; flow is both at first order in the step."""
    changes = {**VARIANTS[variant], "pretraining": "limit", "times": (0.0, 2.0, 10.0, 30.0)}
    gaps = []
    for rate in (0.02, 0.01):
        rule = Optimizer(rate, 3100, tolerance=0.0)  # as many steps at both rates: one program
        own = setting(**{**changes, "scratch": rule, "fine_tune": rule})
        curves = {}
        for name in ("full", "spectral"):
            scratch, moved = lane(name, own, key, 20, 0.9)
            curves[name] = scratch.risk_over_time, moved.linear_transfer_over_time, moved.fine_tuning_over_time
        smooth = setting(**{**changes, "scratch": rule, "fine_tune": rule, "start": "random", "init_scale": 1e-5})
        scratch, moved = lane("flow", smooth, key, 20, 0.9)
        limit = [moved.linear_transfer_over_time, moved.fine_tuning_over_time]
        assert scratch.risk_over_time.shape == (2, 4)
        for one, other in zip(curves["spectral"], curves["full"], strict=True):
            assert one.shape[-1] == 4
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)
        gaps.append([float(jnp.max(jnp.abs(c - f))) for c, f in zip(curves["full"][1:], limit, strict=True)])
        np.testing.assert_allclose(limit[0][0], 1.0, rtol=1e-9)  # a head at zero, |beta_t| = 1
        tuned = curves["full"][2]
        assert abs(float(tuned[0] - tuned[-1])) > 0.05  # something happens
    np.testing.assert_allclose(np.divide(*gaps), 2, atol=0.5)


def test_risks_over_time_end_where_training_does(x64, key):
    """Flow, momentum in its time scale, and weight decay: late times are the endpoints of the same report."""
    rule = Optimizer(0.01, 60_000, momentum=0.5, tolerance=1e-9)
    own = setting(times=(600.0,), weight_decays=(0.0, 0.05), ridges=(0.3,), scratch=rule, fine_tune=rule)
    for name in ("spectral", "flow"):
        scratch, moved = lane(name, own, key, 15, 0.9)
        np.testing.assert_allclose(scratch.risk_over_time[:, 0], scratch.risk, rtol=2e-3)
        np.testing.assert_allclose(moved.fine_tuning_over_time[0], moved.fine_tuning_risk, rtol=2e-3)
        np.testing.assert_allclose(moved.linear_transfer_over_time[0], moved.linear_transfer_risk[0], rtol=1e-6)


def test_momentum_and_time_are_counted_as_the_flow_does():
    steps = pace.record_steps((0.0, 1.0, 5.0, 1e9), Optimizer(0.01, 1000, momentum=0.5))
    assert steps.tolist() == [0, 50, 250, 1000]
    with pytest.raises(ValueError, match=r"times = \(2\.0, 1\.0\)"):
        setting(times=(2.0, 1.0))


@pytest.mark.parametrize("name", ["spectral", "flow"])
def test_refusals_name_the_engine_that_can(name):
    module = engine(name)
    with pytest.raises(ValueError, match=r"adam.*engine=full"):
        module.check(setting(fine_tune=Optimizer(name="adam")))
    with pytest.raises(ValueError, match=r"init_scale = 0\.5.*engine=full"):
        module.check(setting(init_scale=0.5))
    module.check(setting())
    module.check(setting(depth=10, init_scale=0.3))


def test_spectral_takes_a_wide_open_start_that_is_a_chain():
    engine("spectral").check(setting(start="balanced", init_scale=0.5))
    with pytest.raises(ValueError, match="engine=full"):
        engine("flow").check(setting(start="balanced", init_scale=0.5))
