"""Learning curves beyond the pilot, against ridge regression on samples of that size."""

import numpy as np
import pytest

from tlx.planner import leave_one_out as loo
from tlx.planner.curves import curve_draws
from tlx.planner.network import resampling

SPECTRUM = np.arange(1, 61) ** -0.5
PILOTS = 60


def sample(rng, count, target, noise):
    inputs = SPECTRUM * rng.normal(size=(count, len(SPECTRUM)))
    return inputs, (inputs @ target + noise * rng.normal(size=count))[:, None]


def risk(rng, count, target, noise, times=40):
    """Mean squared error, noise included, of ridge regression at its best penalty by leave-one-out."""
    out = []
    for _ in range(times):
        inputs, labels = sample(rng, count, target, noise)
        mean, level = inputs.mean(axis=0), labels.mean(axis=0)
        smoother = loo.of_inputs(inputs, np.ones((count, 1)))
        penalty = loo.tune(smoother, labels).penalty * smoother.level
        rows = inputs - mean
        fit = np.linalg.solve(rows.T @ rows + penalty * np.eye(len(SPECTRUM)), rows.T @ (labels - level))[:, 0]
        off = level[0] - mean @ fit
        out.append(np.sum((SPECTRUM * (fit - target)) ** 2) + off**2 + noise**2)
    return np.mean(out)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "kind"), [(0.2, "signal"), (1.0, "both"), (1.0, "noise")])
def test_intervals_hold_the_error_of_larger_samples(noise, kind):
    """40 rows, then 40, 80, 160 and 320: the 95 % interval holds the mean error in at least 90 % of 60 pilots (nominal
    less 1.8 se) for labels of signal, of signal and noise in equal parts, and of noise alone."""
    rng = np.random.default_rng(5)
    target = rng.normal(size=len(SPECTRUM)) * (kind != "noise")
    target /= max(np.sqrt(np.sum((SPECTRUM * target) ** 2)), 1e-9)
    sizes, inside = np.array([40.0, 80.0, 160.0, 320.0]), []
    truth = np.array([risk(rng, int(size), target, noise) for size in sizes])
    for i in range(PILOTS):
        inputs, labels = sample(rng, 40, target, noise)
        smoother = loo.of_inputs(inputs, np.ones((40, 1)))
        draws, _, _ = curve_draws(smoother, labels, sizes, resampling(40, i), (i, 0))
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        inside.append((low <= truth) & (truth <= high))
    share = np.mean(inside, axis=0)
    assert np.all(share >= 0.9), share
