"""Risk along training against trained networks, in standard errors, at settings that did not find the form."""

import jax.numpy as jnp
import numpy as np
import pytest
import training_simulation as simulation
from training_simulation import Task, z_scores

from tlx import theory
from tlx.theory.training import _curve, _setting

INSTANCES = 64
TIMES = np.geomspace(0.04, 15, 12)
STEPS = np.array([1, 2, 4, 7, 12, 20, 32, 50, 80, 130, 210, 320])


def predicted(task, times, protocol="fine_tuning", **options):
    ratio, noise = task.source or (np.inf, 0.0)
    return theory.risk_over_time(
        protocol, times, task.angle, task.count / task.dim, task.noise, depth=task.depth, target_norm=task.norm,
        source_norm=task.source_norm, source_ratio=ratio, source_noise_std=noise, **options,
    )  # fmt: skip


def flow(task, seed):
    return z_scores(simulation.flow(task, TIMES, INSTANCES, seed)[0], predicted(task, TIMES))


def descent(task, seed, rate, momentum=0.0, init_scale=None):
    risks = simulation.descent(task, STEPS, rate, INSTANCES, seed, momentum, init_scale)
    protocol, start = ("scratch", {"init_scale": init_scale}) if init_scale else ("fine_tuning", {})
    return z_scores(risks, predicted(task, rate * STEPS, protocol, learning_rate=rate, momentum=momentum, **start))


def power_law(task, seed):
    unit = np.full(task.dim, task.dim**-0.5)
    expected = theory.covariance_risk_over_time(
        "fine_tuning", TIMES, np.asarray(simulation.tasks.power_law_spectrum(task.dim, task.exponent)),
        task.norm * unit, task.source_norm * unit, task.noise, task.count, depth=task.depth, overlap_angle=task.angle,
    )  # fmt: skip
    return z_scores(simulation.flow(task, TIMES, INSTANCES, seed)[0], expected)


def head(task, seed, count=25):
    found = simulation.head(task, TIMES, count, 4 * INSTANCES, seed)
    return z_scores(found, predicted(task, TIMES, "linear_transfer", num_samples=count))


def batches(task, seed, rate=0.01, batch=4):
    risks, _ = simulation.stochastic(task, 8 * STEPS, rate, batch, INSTANCES, seed)
    options = {"learning_rate": rate, "batch_size": batch, "num_samples": task.count}
    return z_scores(risks, predicted(task, 8 * rate * STEPS, **options))


def equal_norm(task, seed, init_scale=0.2):
    """From scratch at depth 3: where |beta| is the same, whatever the clock says."""
    times = np.geomspace(0.3, 60, 160)
    risks, norms = simulation.flow(task, times, INSTANCES, seed, init_scale)
    lane = _setting.setting(
        "scratch", 0.0, task.count / task.dim, task.noise, depth=task.depth, target_norm=task.norm,
        init_scale=init_scale,
    )  # fmt: skip
    measure, begin, _ = _setting.start("scratch", lane)
    path = _curve.solve(measure, lane.depth, begin, _curve.last_clock(measure), lambda *state: jnp.zeros(()))
    reached = np.exp(task.depth * np.asarray(path.log_norm))
    goals = np.linspace(0.05, 0.8 * norms.max(axis=1).min(), 12)
    expected = predicted(task, np.interp(goals, reached, path.times), "scratch", init_scale=init_scale)
    assert np.all(np.diff(reached) > -1e-6)
    rows = [np.interp(goals, norm[: norm.argmax() + 1], risk[: norm.argmax() + 1]) for risk, norm in zip(risks, norms)]
    return z_scores(np.array(rows), expected)


CHECKS = {
    "flow depth 1": lambda: flow(Task(0.9, 0.6, 0.4, 1, dim=200), 1),
    "flow depth 2, long target": lambda: flow(Task(0.5, 0.4, 1.2, 2, 1.5, 0.7, dim=200), 2),
    "flow depth 4, no noise": lambda: flow(Task(1.0, 0.8, 0.0, 4, 1.0, 2.0, dim=200), 3),
    "finite source": lambda: flow(Task(0.6, 0.7, 0.3, 2, source=(0.6, 0.5), dim=200), 4),
    "power law 0.7": lambda: power_law(Task(0.8, 0.6, 0.6, 2, exponent=0.7, dim=200), 5),
    "power law 1.2": lambda: power_law(Task(1.1, 1.4, 0.3, 3, exponent=1.2, dim=200), 6),
    "scratch depth 3": lambda: equal_norm(Task(0.0, 1.5, 0.6, 3, dim=200), 7),
    "scratch depth 2": lambda: descent(Task(0.0, 0.5, 0.8, 2, dim=200), 8, 0.05, init_scale=0.3),
    "descent depth 3": lambda: descent(Task(1.4, 1.6, 0.7, 3, 0.5, 1.0, dim=200), 9, 0.1),
    "descent depth 5": lambda: descent(Task(0.3, 2.0, 1.5, 5, 2.0, 1.0, dim=200), 10, 0.02),
    "descent depth 6": lambda: descent(Task(0.8, 0.3, 0.9, 6, 1.0, 0.8, dim=200), 11, 0.02),
    "momentum": lambda: descent(Task(0.7, 1.3, 0.5, 3, dim=200), 12, 0.04, momentum=0.6),
    "large steps": lambda: descent(Task(1.2, 0.45, 0.9, 2, dim=200), 13, 0.13),
    "linear transfer": lambda: head(Task(1.0, 0.5, 0.6, 3, 1.0, 0.6, dim=200), 14),
    "mini-batches": lambda: batches(Task(0.7, 0.5, 0.8, 2, dim=200), 15),
}


@pytest.mark.thorough
def test_every_setting_at_twelve_times():
    z = {name: check() for name, check in CHECKS.items()}
    print({name: (round(float(np.abs(row).max()), 2)) for name, row in z.items()})
    table = np.abs(np.stack(list(z.values())))
    assert table.shape == (15, 12)
    assert np.max(table) <= 4, {name: np.round(row, 1) for name, row in z.items() if np.max(np.abs(row)) > 4}
    assert np.mean(table <= 3) >= 0.97


@pytest.mark.slow
def test_the_endpoint_is_rejected_at_an_early_time():
    task, steps, rate = Task(0.7, 0.5, 0.8, 2, dim=120), np.array([4, 12]), 0.05
    found = simulation.descent(task, steps, rate, INSTANCES, 16)
    assert np.max(np.abs(z_scores(found, predicted(task, rate * steps, learning_rate=rate)))) < 4
    end = theory.fine_tuning_risk(task.angle, task.ratio, task.noise)
    assert np.min(np.abs(z_scores(found, end))) > 5


@pytest.mark.slow
def test_flow_is_rejected_where_batches_hold_two_samples():
    task, steps, rate = Task(0.6, 0.5, 1.0, 2, dim=120), np.array([40, 80, 160, 2500]), 0.006
    risks, balance = simulation.stochastic(task, steps, rate, 2, 2 * INSTANCES, 17)
    options = {"learning_rate": rate, "batch_size": 2, "num_samples": task.count}
    assert np.max(np.abs(z_scores(risks, predicted(task, rate * steps, **options)))) < 4
    arguments = rate * steps, task.angle, task.ratio, task.noise
    assert np.max(np.abs(z_scores(balance, theory.balance_over_time(*arguments, **options)))) < 4
    assert np.max(np.abs(z_scores(risks, predicted(task, rate * steps)))) > 5
    assert np.abs(z_scores(balance, theory.balance_over_time(*arguments)))[-1] > 5
