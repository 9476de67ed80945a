"""What a linear setting refuses before any compute, the ratios that it stands for, and its step sizes and times."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from tlx.linear import data, steps
from tlx.linear.setting import LinearSetting, sample_counts
from tlx.networks import deep_linear
from tlx.train import Optimizer


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"fine_tune": 0.1}, TypeError, r"fine_tune = 0\.1 is a float; pass a Optimizer"),
        ({"scratch": None}, TypeError, r"scratch = None is a NoneType"),
        ({"pretrain": "adam"}, TypeError, r"pretrain = 'adam'"),
        ({"noise_std": math.inf}, ValueError, r"noise_std = inf is not finite"),
        ({"noise_std": 1j}, TypeError, r"noise_std = 1j is not a real number"),
        ({"noise_std": "0.2"}, TypeError, r"noise_std = '0\.2'"),
        ({"noise_std": None}, TypeError, r"noise_std = None"),
        ({"target_norm": math.nan}, ValueError, r"target_norm = nan"),
        ({"source_norm": math.inf}, ValueError, r"source_norm = inf"),
        ({"covariance_exponent": 2 + 0j}, TypeError, r"covariance_exponent"),
        ({"init_scale": math.inf}, ValueError, r"init_scale = inf"),
        ({"ridges": (0.0, math.inf)}, ValueError, r"ridges = \(0\.0, inf\)"),
        ({"ridges": 0.1}, ValueError, r"ridges = 0\.1 is one number; pass it as \(0\.1,\)"),
        ({"weight_decays": ()}, ValueError, r"weight_decays = \[\] is empty"),
        ({"weight_decays": (True,)}, TypeError, r"weight_decays = \(True,\)"),
        ({"times": (0.0, math.inf)}, ValueError, r"times"),
        ({"times": ("now",)}, TypeError, r"times"),
        ({"source_samples": 1.5}, ValueError, r"source_samples = 1\.5"),
        ({"dim": 2.0}, ValueError, r"dim = 2\.0"),
    ],
)
def test_a_setting_refuses_what_no_lane_could_use(change, error, says):
    with pytest.raises(error, match=says):
        LinearSetting(**change)


@pytest.mark.parametrize("name", ["learning_rate", "momentum", "weight_decay", "tolerance"])
@pytest.mark.parametrize(("value", "error"), [(math.inf, ValueError), (0.1j, TypeError), (None, TypeError)])
def test_a_rule_refuses_numbers_that_are_none(name, value, error):
    with pytest.raises(error, match=rf"optimizer\.{name} = "):
        Optimizer(**{name: value})


def test_traced_and_stacked_numbers_pass():
    own = LinearSetting(dim=4, ridges=(0.0, 0.1))
    doubled = jax.jit(lambda s: jax.tree.map(lambda leaf: 2 * leaf, s))(own)
    assert float(doubled.noise_std) == pytest.approx(0.4)
    assert jax.tree.structure(own) == jax.tree.structure(jax.tree.map(jnp.asarray, own))


@pytest.mark.parametrize(("ratio", "dim"), [(1.3, 20), (0.5, 33), (0.29, 7), (2.0, 100)])
def test_the_source_ratio_is_that_of_whole_samples(ratio, dim):
    count = int(sample_counts(ratio, dim))
    assert abs(count - ratio * dim) <= 0.5
    assert LinearSetting(dim=dim, source_samples=count).source_ratio == count / dim
    assert LinearSetting(dim=dim).source_ratio == math.inf


def test_whole_samples_are_rounded_and_at_least_one():
    np.testing.assert_array_equal(sample_counts(np.array([0.001, 0.26, 1.0]), 10), [1, 3, 10])
    assert LinearSetting().isotropic
    assert not LinearSetting(covariance_exponent=0.5).isotropic


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "norm"), [(1, 2.0), (2, 1.0), (3, 2.0)])
def test_the_step_called_stable_is_two_over_the_curvature_at_a_balanced_fit(x64, key, depth, norm):
    target = norm * jnp.asarray([0.6, 0.0, -0.8, 0.0])
    moments = data.Moments(jnp.eye(4), target, target @ target, jnp.asarray(jnp.inf))
    flat, unflat = ravel_pytree(deep_linear.balanced(key, target, width=4, depth=depth))
    hessian = jax.hessian(lambda w: data.squared_loss(deep_linear.predictor(unflat(w)), moments))(flat)
    rate = steps.stable_learning_rate(LinearSetting(dim=4, depth=depth), moments)
    np.testing.assert_allclose(rate * jnp.linalg.eigvalsh(hessian)[-1], 2.0, rtol=1e-9)


def test_momentum_reaches_a_time_in_fewer_steps():
    rule = Optimizer(0.02, 400, momentum=0.5)
    assert steps.record_steps((0.0, 0.4, 4.0, 100.0), rule).tolist() == [0, 10, 100, 400]
