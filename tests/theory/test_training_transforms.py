"""The theory of training under jit, vmap, grad and both precisions, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import theory

pytestmark = [pytest.mark.slow, pytest.mark.extended]

UNIT, SPECTRUM = np.full(30, 30**-0.5), np.arange(1.0, 31.0) ** -0.5
CALLS = {
    "flow": lambda t, a, g, s: theory.risk_over_time("fine_tuning", t, a, g, s, depth=3),
    "scratch": lambda t, a, g, s: theory.risk_over_time("scratch", t, a, g, s, init_scale=0.05),
    "head": lambda t, a, g, s: theory.risk_over_time("linear_transfer", t, a, g, s, num_samples=20.0),
    "balance": lambda t, a, g, s: theory.balance_over_time(t, a, g, s),
    "steps": lambda t, a, g, s: theory.risk_after_steps("fine_tuning", 30, a, g, s, learning_rate=t / 30, momentum=0.3),
    "batches": lambda t, a, g, s: theory.risk_after_steps(
        "fine_tuning", 30, a, g, s, learning_rate=t / 30, batch_size=4, num_samples=30
    ),
    "stopped": lambda t, a, g, s: theory.best_stopping("fine_tuning", a, g, s)[1] + 0 * t,
    "stopping time": lambda t, a, g, s: theory.best_stopping("linear_transfer", a, g, s, num_samples=20.0)[0] + 0 * t,
    "covariance": lambda t, a, g, s: (
        theory.covariance_risk_over_time("fine_tuning", t, SPECTRUM, UNIT, UNIT, s, 30 * g, overlap_angle=0.8) + 0 * a
    ),
}
POINT = (1.5, 0.8, 0.6, 0.7)


@pytest.mark.parametrize("name", CALLS)
def test_jit_vmap_and_precision(name):
    call = CALLS[name]
    lanes = [np.float32(x) * np.array([1.0, 1.1], np.float32) for x in POINT]
    rows = np.asarray(jax.jit(jax.vmap(call))(*lanes))
    assert rows.dtype == np.float32
    with jax.enable_x64(True):
        double = np.array([call(*(float(lane[i]) for lane in lanes)) for i in range(2)])
        assert double.dtype == np.float64
    np.testing.assert_allclose(rows, double, rtol=1e-3 if name == "stopping time" else 1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("name", CALLS)
def test_grad_is_the_finite_difference(x64, name):
    gradient = jax.grad(CALLS[name], argnums=(0, 1, 2, 3))(*POINT)
    for index, slope in enumerate(gradient):
        high, low = (CALLS[name](*(x + d * (i == index) for i, x in enumerate(POINT))) for d in (1e-4, -1e-4))
        np.testing.assert_allclose(slope, (high - low) / 2e-4, rtol=2e-3, atol=2e-5)


def test_shapes():
    angle, ratio = np.full((3, 1), 0.5), np.full(4, 0.6)
    assert theory.risk_over_time("fine_tuning", 1.0, angle, ratio, 0.3).shape == (3, 4)
    assert theory.risk_over_time("fine_tuning", np.ones(5), angle, ratio, 0.3).shape == (3, 4, 5)
    assert theory.risk_over_time("scratch", np.ones((4, 5)), angle, ratio, 0.3).shape == (3, 4, 5)
    assert theory.risk_over_time("scratch", [1.0], angle, ratio, 0.3, learning_rate=0.1).shape == (3, 4, 1)
    assert theory.risk_after_steps("scratch", np.ones((3, 1), int), 0.1, ratio, 0.3, learning_rate=0.1).shape == (3, 4)
    assert theory.best_stopping("scratch", angle, ratio, 0.3)[0].shape == (3, 4)


def test_what_cannot_move_stays():
    still = theory.risk_over_time("fine_tuning", [0.0, 9.0, np.inf], 0.5, 0.6, 0.3, source_norm=0.0, target_norm=2.0)
    np.testing.assert_allclose(still, 4.0, rtol=1e-6)
    nothing = theory.risk_over_time("scratch", [0.0, 9.0, np.inf], 0.5, 0.6, 0.0, target_norm=0.0)
    np.testing.assert_allclose(nothing, 0.0, atol=1e-12)
    grown = theory.risk_over_time("fine_tuning", [0.0, 3.0], 0.5, 0.6, 0.3, source_norm=0.0, depth=1)
    assert grown[1] < grown[0] == 1.0


RUN = {"times": [0.0, 1.0], "overlap_angle": 0.5, "sample_ratio": 0.5, "noise_std": 0.3, "protocol": "fine_tuning"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"times": [-1.0, 1.0]}, "times = -1.0 is outside"),
        ({"times": [2.0, 1.0]}, "out of order"),
        ({"times": [1.0, np.inf], "learning_rate": 0.1}, "no closed end"),
        ({"times": [np.nan]}, "times = nan"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0"),
        ({"momentum": 0.5}, "pass learning_rate"),
        ({"batch_size": 2}, "pass learning_rate"),
        ({"batch_size": 2, "learning_rate": 0.1}, "needs num_samples"),
        ({"batch_size": 20, "learning_rate": 0.1, "num_samples": 10}, "above num_samples = 10"),
        ({"batch_size": 2, "learning_rate": 0.1, "num_samples": 10, "momentum": 0.5}, "leave out one of the two"),
        ({"batch_size": 2, "learning_rate": 0.1, "num_samples": 10, "protocol": "linear_transfer"}, "frozen head"),
        ({"momentum": 1.0, "learning_rate": 0.1}, "momentum = 1.0"),
        ({"protocol": "linear_transfer", "depth": 1}, "ask for scratch"),
        ({"protocol": "probe"}, "protocol = 'probe' is not one of"),
        ({"init_scale": 0.0, "protocol": "scratch"}, "init_scale = 0.0"),
        ({"overlap_angle": 4.0}, "radians"),
        ({"sample_ratio": 0.0}, "sample_ratio = 0.0"),
        ({"depth": 0}, "depth = 0"),
        ({"pretrained": (-1.0, 0.3)}, "pretrained norm = -1.0"),
    ],
)
def test_refusals(wrong, message):
    with pytest.raises(ValueError, match=message):
        theory.risk_over_time(**{**RUN, **wrong})


def test_refusals_of_the_others():
    with pytest.raises(ValueError, match="steps = -1"):
        theory.risk_after_steps("scratch", -1, 0.5, 0.5, 0.3, learning_rate=0.1)
    with pytest.raises(ValueError, match="pass finite times"):
        theory.covariance_risk_over_time("scratch", np.inf, SPECTRUM, UNIT, UNIT, 0.3, 10)
    with pytest.raises(ValueError, match="target has shape"):
        theory.covariance_risk_over_time("scratch", 1.0, SPECTRUM, UNIT[:3], UNIT, 0.3, 10)
    with pytest.raises(ValueError, match="leave it out"):
        theory.stopped_break_even_angle("fine_tuning", 0.5, 0.3, pretrained=(jnp.ones(()), 0.5))
