"""Close pairs that hurt and far pairs that help, each confirmed by training on drawn data."""

import jax
import numpy as np
import pytest

from tlx import _keys, discrepancy, ensemble, stats, theory
from tlx.discrepancy import LinearLaw
from tlx.linear.engines import engine
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer


def prepare(shared, lane):
    return engine("full").prepare(shared[0], _keys.lane(shared[1], lane["instance"]), lane["num_samples"])


def transfer(shared, prepared, angle):
    return engine("full").transfer(shared[0], prepared, angle)


def trained_gain(example, instances=24):
    """Mean and standard error of scratch minus transfer, over trained two-layer networks."""
    rate = 0.01 / max(example.target_norm, example.noise_std)
    rule = Optimizer(rate, 40_000)
    setting = LinearSetting(
        dim=example.dim,
        noise_std=example.noise_std,
        target_norm=example.target_norm,
        pretrain=Optimizer(0.02, 20_000),
        scratch=rule,
        fine_tune=rule,
    )
    counts = np.full(instances, example.num_samples, np.int32)
    outer = {"instance": np.arange(instances, dtype=np.int32), "num_samples": counts}
    angles = np.array([example.overlap_angle])
    scratch, pairs = ensemble.run_nested(prepare, transfer, outer, angles, (setting, jax.random.key(5)))
    risk = pairs.fine_tuning_risk if example.protocol == "fine_tuning" else pairs.linear_transfer_risk[..., 0]
    return stats.estimate(scratch.risk[:, 0] - risk[:, 0])


def divergence(example):
    source = np.eye(example.dim)[0]
    turned = np.cos(example.overlap_angle) * source + np.sin(example.overlap_angle) * np.eye(example.dim)[1]
    laws = LinearLaw(source, example.noise_std), LinearLaw(example.target_norm * turned, example.noise_std)
    return float(discrepancy.kullback_leibler(source=laws[0], target=laws[1]))


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["fine_tuning", "linear_transfer"])
def test_close_but_negative(protocol):
    for epsilon in (1.0, 0.3) if protocol == "fine_tuning" else (0.5,):
        example = discrepancy.close_but_negative(epsilon, protocol=protocol, dim=40)
        assert divergence(example) == pytest.approx(example.divergence, rel=1e-4)
        assert example.divergence < epsilon
        gain = trained_gain(example)
        assert gain.mean + 3 * gain.standard_error < 0, gain


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["fine_tuning", "linear_transfer"])
def test_far_but_positive(protocol):
    example = discrepancy.far_but_positive(50.0, protocol=protocol, dim=40)
    assert divergence(example) == pytest.approx(example.divergence, rel=1e-4)
    assert example.divergence > 50
    gain = trained_gain(example)
    assert gain.mean - 3 * gain.standard_error > 0, gain


@pytest.mark.slow
@pytest.mark.parametrize("amount", [1e-6, 1e-3, 0.1, 1.0, 100.0, 1e6])
def test_signs_in_theory_for_any_amount(x64, amount):
    for protocol in ("fine_tuning", "linear_transfer"):
        for make, sign in ((discrepancy.close_but_negative, -1), (discrepancy.far_but_positive, 1)):
            e = make(amount, protocol=protocol)
            assert (e.divergence - amount) * sign > 0
            options = {"target_norm": e.target_norm, "num_samples": float(e.num_samples), "dim": float(e.dim)}
            ratio = e.num_samples / e.dim
            gain = theory.transferability(protocol, e.overlap_angle, ratio, e.noise_std, **options)
            assert np.sign(float(gain)) == sign, (protocol, e, gain)


def test_bad_input():
    with pytest.raises(ValueError, match="epsilon"):
        discrepancy.close_but_negative(0.0)
    with pytest.raises(ValueError, match="protocol"):
        discrepancy.far_but_positive(1.0, protocol="scratch")
    with pytest.raises(ValueError, match="dim"):
        discrepancy.far_but_positive(1.0, dim=5)
