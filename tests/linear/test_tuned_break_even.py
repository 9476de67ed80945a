"""Tuned L2-SP against tuned scratch: trained networks break even at cos theta = |beta_pre|/(2 |beta_t|)."""

import jax
import numpy as np
import pytest

from tlx import theory
from tlx.linear import lanes
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer

DIM, COUNT = 60, 500
SPREAD = np.array([-0.1, 0.1])  # of cos theta around the angle that theory names


def crossing(gain):
    """Where the line through the mean gains at SPREAD is zero, and its standard error."""
    mean, error = gain.mean(0), gain.std(0, ddof=1) / np.sqrt(len(gain))
    slope = (mean[1] - mean[0]) / (SPREAD[1] - SPREAD[0])
    return -mean.mean() / slope, error.mean() / abs(slope)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("target_norm", "source_norm", "noise", "ratio"), [(1.0, 1.0, 0.5, 0.6), (1.5, 1.0, 1.0, 0.8), (1.0, 1.4, 0.7, 1.4)]
)
def test_tuned_networks_break_even_where_theory_says(target_norm, source_norm, noise, ratio):
    """Spectral engine, 500 instances; penalties at their best, weight decays at the best of five for other halves."""
    best = float(theory.optimal_ridge(ratio, noise, target_norm=target_norm))  # of both sides where they break even
    # a chain of two layers with weight decay wd ends at the ridge (wd/2)/|beta|
    length = np.sqrt(target_norm**2 - float(theory.optimal_ridge_risk(ratio, noise, target_norm=target_norm)))
    decays = 2 * best * length * np.array([0.8, 0.9, 1.0, 1.1, 1.25])
    rule = Optimizer(0.04, 1500, tolerance=1e-4)
    setting = LinearSetting(
        dim=DIM, noise_std=noise, target_norm=target_norm, source_norm=source_norm, pretraining="limit",
        init_scale=1e-2, protocols=("scratch", "l2sp"), l2sp_penalties=(best,), weight_decays=tuple(decays.tolist()),
        scratch=rule, fine_tune=rule,
    )  # fmt: skip
    centre = source_norm / (2 * target_norm)
    angles = np.arccos(centre + SPREAD)
    found = lanes.transfer_grid("spectral", setting, jax.random.key(7), np.arange(COUNT), round(ratio * DIM), angles)
    scratch, pulled = found[0].risk, found[1].penalised["l2sp"].risk[:, :, 0]
    half = np.arange(COUNT) % 2 == 0
    chosen = np.where(half, scratch[~half].mean(0).argmin(), scratch[half].mean(0).argmin())
    offset, error = crossing(np.take_along_axis(scratch, chosen[:, None], 1) - pulled)
    assert error < 0.01
    assert abs(offset) < 0.02
    np.testing.assert_allclose(np.cos(theory.tuned_break_even_angle(target_norm=target_norm, source_norm=source_norm)),
                               centre, rtol=1e-6)  # fmt: skip
