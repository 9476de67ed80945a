"""The planner: unbiased estimates, intervals that cover, advice that is right, and clear refusals."""

import time

import numpy as np
import pytest

from tlx import planner
from tlx.planner import moments


def pilot(rng, count, dim, angle, noise, norm=1.0):
    source = np.eye(dim)[0]
    target = norm * (np.cos(angle) * source + np.sin(angle) * np.eye(dim)[1])
    inputs = rng.normal(size=(count, dim))
    return inputs, inputs @ target + noise * rng.normal(size=count), source


@pytest.mark.parametrize("count", [20, 120])
def test_moment_estimates_are_unbiased(count):
    """400 pilots at d = 60: |z| < 4, and a wrong value (10 % off) is told apart for the overlap at n = 120."""
    rng = np.random.default_rng(count)
    found = []
    for _ in range(400):
        inputs, labels, source = pilot(rng, count, 60, 0.8, 0.5, 1.3)
        signal, noise = moments.signal_power(inputs, labels), moments.noise_power(inputs, labels)
        found.append([signal, noise, moments.overlap(inputs, labels, source)])
    found = np.array(found)
    truth = np.array([1.3**2, 0.25, 1.3 * np.cos(0.8)])
    z = (found.mean(0) - truth) / (found.std(0) / 20)
    assert np.abs(z).max() < 4, z
    if count == 120:
        assert abs((found[:, 2].mean() - 1.1 * truth[2]) / (found[:, 2].std() / 20)) > 4


def test_intervals_cover_and_advice_is_right():
    """40 random settings: binomial bounds around 95 % coverage (4 standard errors) and 90 % right where it speaks."""
    from benchmarks.planner_calibration import one_setting

    table = np.array([one_setting((7, index, False)) for index in range(40)], dtype=float)
    coverage = table[:, :4].mean(0)
    assert (coverage > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 40)).all(), coverage
    spoke = table[:, 4].astype(bool)
    assert spoke.mean() > 0.5 - 3 * 0.5 / np.sqrt(40)
    assert (table[spoke, 5] <= 0.05).mean() > 0.9 - 3 * np.sqrt(0.09 / spoke.sum())


def test_obvious_cases():
    rng = np.random.default_rng(0)
    inputs, labels, source = pilot(rng, 60, 100, 0.0, 0.3)
    assert planner.plan(inputs, labels, source=source).recommendation in ("linear_transfer", "fine_tuning")
    inputs, labels, source = pilot(rng, 400, 50, np.pi / 2, 0.1)
    assert planner.plan(inputs, labels, source=source).recommendation in ("scratch", "fine_tuning")


def test_same_arguments_same_answer():
    inputs, labels, source = pilot(np.random.default_rng(1), 30, 20, 0.6, 0.4)
    one, two = (planner.plan(inputs, labels, source=source) for _ in range(2))
    assert one.support == two.support
    assert one.estimates == two.estimates


def test_it_answers_in_two_seconds():
    """Processor time, which others on the machine do not lengthen: two cores make 4 s of it in 2 s (1.5 s measured)."""
    inputs, labels, source = pilot(np.random.default_rng(2), 1000, 1000, 0.6, 0.4)
    best = np.inf
    for _ in range(3):
        begin = time.process_time()
        planner.plan(inputs, labels, source=source)
        best = min(best, time.process_time() - begin)
    assert best < 4


X, Y = np.random.default_rng(3).normal(size=(10, 4)), np.arange(10.0)
NAN, CONSTANT = X.copy(), X.copy()
NAN[3, 2], CONSTANT[:, 1] = np.nan, 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: planner.plan(NAN, Y, source=np.ones(4)), r"row 3, column 2"),
        (lambda: planner.plan(CONSTANT, Y, source=np.ones(4)), "column 1 is constant"),
        (lambda: planner.plan(X, Y[:-1], source=np.ones(4)), "10 rows and labels 9"),
        (lambda: planner.plan(X[:2], Y[:2], source=np.ones(4)), "n = 2"),
        (lambda: planner.plan(X, Y, source=np.ones(5)), r"shape \(5,\), inputs have 4"),
        (lambda: planner.plan(X, Y, features=X[:9, :2]), r"\(9, 2\) for 10 rows"),
        (lambda: planner.plan(X, Y), "Give one of source"),
        (lambda: planner.plan(X, np.ones(10), source=np.ones(4)), "constant"),
        (lambda: planner.plan(X, Y, source=np.zeros(4)), "source is zero"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
