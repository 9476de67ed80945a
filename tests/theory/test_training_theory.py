"""Risk along training against its own equations, its limits and checked numbers; no network is trained here."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tlx import theory
from tlx.theory.training import _measure

pytestmark = [pytest.mark.slow, pytest.mark.extended]

SETTINGS = [
    {"angle": 0.7, "ratio": 0.5, "noise": 0.5, "depth": 2, "norm": 1.0, "source": 1.0},
    {"angle": 1.4, "ratio": 1.4, "noise": 0.8, "depth": 5, "norm": 2.0, "source": 0.5},
    {"angle": 2.4, "ratio": 0.3, "noise": 1.5, "depth": 6, "norm": 0.7, "source": 2.0},
    {"angle": 0.4, "ratio": 3.0, "noise": 0.0, "depth": 3, "norm": 0.6, "source": 1.3},
    {"angle": 1.0, "ratio": 0.6, "noise": 0.3, "depth": 1, "norm": 1.0, "source": 1.0},
]


def over_time(times, angle, ratio, noise, depth, norm, source, **options):
    options = {"depth": depth, "target_norm": norm, "source_norm": source, **options}
    protocol = options.pop("protocol", "fine_tuning")
    return np.asarray(theory.risk_over_time(protocol, times, angle, ratio, noise, **options))


def integrated(times, angle, ratio, noise, depth, norm, source, init_scale=None):
    """The equations of the docstring, mode by mode, by a stiff solver of SciPy."""
    first = 0.0 if init_scale else source ** (1 / depth)
    measure = _measure.isotropic(*map(jnp.asarray, (ratio, noise, norm, first, norm * first * np.cos(angle))))
    nodes, uu, ub, bb, nn = map(np.asarray, measure)
    size = np.sqrt(np.sum(nodes**2 * bb + nodes * nn))
    begin = (init_scale / size, init_scale) if init_scale else (0.0, first)

    def slope(_, state):
        alpha, phi, norm = (*np.split(state[:-1], 2), np.exp(state[-1]))
        scale = norm ** (depth - 1)
        missed = nodes * (1 - scale * nodes * phi)
        product = alpha * missed * ub - scale * nodes * alpha * (alpha * uu + nodes * phi * ub)
        product = np.sum(product + phi * missed * (nodes * bb + nn))
        change = 2 * norm ** (depth - 3) * product
        return np.concatenate([-2 * scale**2 * nodes * alpha, 2 * scale * (1 - scale * nodes * phi), [change]])

    state = np.concatenate([np.ones_like(nodes), np.full_like(nodes, begin[0]), [np.log(begin[1])]])
    solved = solve_ivp(slope, (0, times[-1]), state, t_eval=times, method="LSODA", rtol=1e-9, atol=1e-11).y.T
    found = []
    for row in solved:
        alpha, phi = np.split(row[:-1], 2)
        kept, fitted = np.exp((depth - 1) * row[-1]) * alpha, np.exp((depth - 1) * row[-1]) * phi
        missed = fitted * nodes - 1
        found.append(np.sum(kept**2 * uu + 2 * kept * missed * ub + missed**2 * bb + fitted**2 * nodes * nn))
    return np.array(found)


TIMES = np.array([0.0, 0.03, 0.3, 1.0, 4.0, 20.0, 90.0])


@pytest.mark.parametrize("setting", SETTINGS)
def test_fine_tuning_solves_its_equations(x64, setting):
    np.testing.assert_allclose(over_time(TIMES, **setting), integrated(TIMES, **setting), rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize(("depth", "init_scale"), [(2, 1e-4), (4, 0.1), (1, 0.01)])
def test_scratch_solves_its_equations(x64, depth, init_scale):
    setting = {**SETTINGS[0], "depth": depth}
    expected = integrated(TIMES, init_scale=init_scale, **setting)
    found = over_time(TIMES, protocol="scratch", init_scale=init_scale, **setting)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_it_begins_at_the_start_and_ends_at_the_closed_forms(x64):
    angle, ratio, noise = np.array([0.3, 1.5, 2.8])[:, None, None], np.array([0.3, 0.8, 1.3]), np.array([[0.0], [1.2]])
    times, options = np.array([0.0, 3e4, np.inf]), {"target_norm": 1.2, "source_ratio": 0.7, "source_noise_std": 0.4}
    for depth in (1, 2, 4):
        keep = {"depth": depth, "source_norm": 0.8, **options}
        risk = np.asarray(theory.risk_over_time("fine_tuning", times, angle, ratio, noise, **keep))
        square = theory.pretrained_norm(0.7, 0.4, source_norm=0.8) ** 2
        begin = 1.2**2 - 2 * 1.2 * 0.8 * 0.7 * np.cos(angle) + square
        np.testing.assert_allclose(risk[..., 0], np.broadcast_to(begin, risk.shape[:-1]), rtol=1e-9)
        end = theory.fine_tuning_risk(angle, ratio, noise, **keep)
        np.testing.assert_allclose(risk[..., 2], end, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(risk[..., 1], end, rtol=1e-4, atol=1e-6)
    risk = np.asarray(theory.risk_over_time("scratch", times, 0.5, ratio, noise, target_norm=1.2))
    end = np.broadcast_to(theory.scratch_risk(ratio, noise, target_norm=1.2), risk.shape[:-1])
    np.testing.assert_allclose(risk[..., 2], end, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(risk[..., 1], end, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(risk[..., 0], 1.2**2, rtol=1e-8)
    count, keep = np.array([1.0, 2.0, 3.0, 40.0, np.inf]), {"source_norm": 0.8, **options}
    risk = np.asarray(theory.risk_over_time("linear_transfer", times, 1.1, 0.5, 0.6, num_samples=count, **keep))
    end = theory.linear_transfer_risk(1.1, 0.6, num_samples=count, **keep)
    np.testing.assert_allclose(risk[..., 2], end, rtol=1e-9)
    np.testing.assert_allclose(risk[3:, 1], end[3:], rtol=1e-6)
    np.testing.assert_allclose(risk[..., 0], 1.2**2, rtol=1e-9)
    assert np.all(np.diff(risk[:3, 1:], axis=1) > 0.01)  # three samples or fewer are still fitting noise


def test_the_end_is_reached_also_near_n_equal_to_d(x64):
    ratio = np.array([0.98, 0.99, 0.995, 1.005, 1.01])
    for protocol, end in (
        ("scratch", theory.scratch_risk(ratio, 0.5)),
        ("fine_tuning", theory.fine_tuning_risk(0.6, ratio, 0.5, depth=3)),
    ):
        late = theory.risk_over_time(protocol, np.array([1e8]), 0.6, ratio, 0.5, depth=3)[..., 0]
        np.testing.assert_allclose(late, end, rtol=1e-6)


def test_the_nodes_have_the_moments_of_the_marchenko_pastur_law(x64):
    for ratio in (0.05, 0.5, 0.99, 1.01, 3.0):
        nodes, weights = _measure.marchenko_pastur(jnp.asarray(ratio))
        moments = [float(weights @ nodes**k) for k in range(3)]
        np.testing.assert_allclose(moments, [1.0, 1.0, 1 + 1 / ratio], rtol=1e-12)
        inverse = ratio**2 / (1 - ratio) if ratio < 1 else ratio / (ratio - 1)
        np.testing.assert_allclose(float(jnp.sum(weights[:-1] / nodes[:-1])), inverse, rtol=1e-9)


def test_balance_ends_at_the_factor_of_the_endpoint(x64):
    for ratio, depth in ((0.5, 2), (0.5, 4), (1.5, 3)):
        factor = theory.balance_over_time(np.array([0.0, 3e4, np.inf]), 0.9, ratio, 1.0, depth=depth)
        np.testing.assert_allclose(factor[0], 1.0, rtol=1e-12)
        np.testing.assert_allclose(factor[1], factor[2], rtol=1e-5)
    assert float(theory.balance_over_time(np.inf, 0.9, 0.5, 1.0)) == pytest.approx(1.2247, abs=1e-4)


@pytest.mark.parametrize(
    ("protocol", "momentum"), [("scratch", 0.0), ("linear_transfer", 0.5), ("fine_tuning", 0.0), ("fine_tuning", 0.5)]
)
def test_descent_goes_to_flow_at_first_order(x64, protocol, momentum):
    """Heavy-ball descent runs 1/(1 - momentum) times as fast."""
    times = np.array([0.5, 2.0, 8.0])
    arguments, keep = (0.8, 0.6, 0.5), {"depth": 3, "num_samples": 30, "init_scale": 0.3, "source_norm": 1.4}
    flow = theory.risk_over_time(protocol, times / (1 - momentum), *arguments, **keep)
    gaps = []
    for rate in (2e-3, 1e-3, 5e-4):
        descent = theory.risk_over_time(protocol, times, *arguments, learning_rate=rate, momentum=momentum, **keep)
        gaps.append(np.abs(np.asarray(descent - flow)))
    ratios = np.array(gaps[:-1]) / np.array(gaps[1:])
    np.testing.assert_allclose(ratios[:, gaps[0].argmax()], 2.0, atol=0.15)
    assert np.max(gaps[-1]) < 5e-3


def test_steps_of_many_lanes_are_those_of_each(x64):
    steps, angle = np.array([0, 3, 40, 41]), np.array([0.2, 0.6, 1.0, 1.4])
    together = theory.risk_after_steps("fine_tuning", steps, angle, 0.6, 0.7, learning_rate=0.1)
    for index in range(4):
        alone = theory.risk_over_time("fine_tuning", [0.1 * steps[index]], angle[index], 0.6, 0.7, learning_rate=0.1)
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-12)
    many = theory.risk_after_steps("fine_tuning", np.tile(steps, 7), np.tile(angle, 7), 0.6, 0.7, learning_rate=0.1)
    np.testing.assert_allclose(many, np.tile(together, 7), rtol=1e-12)
    measured = theory.risk_after_steps(
        "fine_tuning", steps, 0.0, 0.6, 0.7, learning_rate=0.1, pretrained=(np.ones(4), np.cos(angle))
    )
    np.testing.assert_allclose(measured, together, rtol=1e-10)
    assert np.allclose(theory.risk_after_steps("scratch", 0, 0.0, 0.6, 0.7, learning_rate=0.1), 1.0)


def test_a_vanishing_batch_noise_is_the_full_batch(x64):
    keep = {"learning_rate": 0.05, "num_samples": 40}
    full = theory.risk_after_steps("fine_tuning", 60, 0.6, 0.5, 0.7, **keep)
    whole = theory.risk_after_steps("fine_tuning", 60, 0.6, 0.5, 0.7, batch_size=40, replacement=False, **keep)
    np.testing.assert_allclose(whole, full, rtol=1e-12)
    slow = {"learning_rate": 0.005, "num_samples": 40}
    batches = [{}] + [{"batch_size": size} for size in (40, 10, 2)]
    scale = [float(theory.balance_over_time(3.0, 0.6, 0.5, 0.7, **slow, **batch)) for batch in batches]
    assert np.all(np.diff(scale) < 0)  # the smaller the batch, the further below flow
    apart = theory.balance_over_time(3.0, 0.6, 0.5, 0.7, batch_size=10, replacement=False, **slow)
    assert scale[2] < apart < scale[0]


def test_checked_stopping_times(x64):
    assert float(theory.best_stopping("fine_tuning", 0.7, 0.5, 0.5)[1]) == pytest.approx(0.3393, abs=5e-4)
    assert float(theory.best_stopping("fine_tuning", 1.2, 0.5, 1.0, depth=3)[1]) == pytest.approx(0.9609, abs=1e-3)


@pytest.mark.parametrize("protocol", ["scratch", "linear_transfer", "fine_tuning"])
def test_nothing_is_below_the_best_stopping(x64, protocol):
    angle, noise, keep = np.array([0.5, 1.2])[:, None], np.array([1.2]), {"num_samples": 12, "depth": 3}
    time, risk = theory.best_stopping(protocol, angle, 0.6, noise, **keep)
    times = np.append(np.geomspace(1e-3, 1e4, 150), np.inf) if protocol != "scratch" else np.append(
        np.geomspace(1.0, 1e6, 150), np.inf)  # fmt: skip
    curve = np.asarray(theory.risk_over_time(protocol, times, angle, 0.6, noise, **keep))
    assert np.all(risk <= curve.min(axis=-1) * (1 + 2e-6))
    at = np.asarray(theory.risk_over_time(protocol, np.asarray(time)[..., None], angle, 0.6, noise, **keep))
    np.testing.assert_allclose(at[..., 0], risk, rtol=2e-6)
    assert np.all(np.isfinite(time))
    assert np.all(curve.min(axis=-1) < curve[..., -1])


def test_training_to_the_end_or_not_at_all(x64):
    time, risk = theory.best_stopping("fine_tuning", 0.0, 0.5, 0.0, target_norm=2.0)
    assert np.isinf(time)
    assert float(risk) == pytest.approx(float(theory.fine_tuning_risk(0.0, 0.5, 0.0, target_norm=2.0)))
    time, risk = theory.best_stopping("fine_tuning", 0.0, 0.5, 1.0)  # the source is the target already
    np.testing.assert_allclose([time, risk], 0.0, atol=1e-12)


def test_both_sides_stopped_break_even_at_sixty_degrees(x64):
    angle = np.degrees(theory.stopped_break_even_angle("fine_tuning", np.array([0.3, 0.5]), 1.0))
    np.testing.assert_allclose(angle, 60.0, atol=0.5)
    assert np.degrees(float(theory.break_even_angle("fine_tuning", 0.5, 1.0))) == pytest.approx(52.2, abs=0.1)
    either = theory.stopped_transferability("fine_tuning", np.radians([angle[1] - 1, angle[1] + 1]), 0.5, 1.0)
    np.testing.assert_array_equal(np.sign(either), [1, -1])


def test_the_contour_is_the_marchenko_pastur_law_for_isotropic_inputs(x64):
    times, unit = np.array([0.0, 0.5, 5.0, 50.0, 500.0]), np.full(60, 60**-0.5)
    for protocol, ratio, depth in (("fine_tuning", 0.5, 3), ("scratch", 1.5, 2)):
        keep = {"depth": depth, "init_scale": 0.01}
        found = theory.covariance_risk_over_time(
            protocol, times, np.ones(60), unit, unit, 0.6, ratio * 60, overlap_angle=0.9, **keep
        )
        np.testing.assert_allclose(found, theory.risk_over_time(protocol, times, 0.9, ratio, 0.6, **keep), rtol=3e-5)


def test_any_covariance_ends_at_its_deterministic_equivalent(x64):
    """Without label noise, where the endpoint's correction at finite n is 1."""
    spectrum = np.arange(1.0, 61.0) ** -0.8
    rng = np.random.default_rng(0)
    target, source = rng.normal(size=(2, 60))
    found = theory.covariance_risk_over_time("fine_tuning", [1e3], spectrum, target, source, 0.0, 30.0, depth=3)
    expected = theory.covariance_fine_tuning_risk(spectrum, target, source, 0.0, 30.0, depth=3)
    np.testing.assert_allclose(found[0], expected, rtol=2e-3)
    found = theory.covariance_risk_over_time("scratch", [1e3], spectrum, target, source, 0.0, 30.0, init_scale=0.01)
    np.testing.assert_allclose(found[0], theory.covariance_scratch_risk(spectrum, target, 0.0, 30.0), rtol=2e-3)


def cpu_seconds(call, repeats):
    """Fewest processor seconds of a warm call: a busy machine only ever adds."""
    jax.block_until_ready(call())
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        jax.block_until_ready(call())
        found.append(time.process_time() - begin)
    return min(found)


@pytest.mark.alone
def test_one_curve_of_a_hundred_times_takes_a_tenth_of_a_second():
    times = jnp.linspace(0, 300, 100)
    curve = jax.jit(lambda angle: theory.risk_over_time("fine_tuning", times, angle, 0.5, 0.5, depth=3))
    assert cpu_seconds(lambda: curve(0.7), 4) <= 0.1
    eager = cpu_seconds(lambda: theory.risk_over_time("fine_tuning", times, 0.7, 0.5, 0.5, depth=3), 4)
    assert eager <= 0.1


@pytest.mark.alone
def test_a_grid_of_four_hundred_cells_is_stepped_in_seconds():
    angle, ratio = np.meshgrid(np.linspace(0.1, 1.5, 20), np.linspace(0.1, 2, 20))
    steps = np.full(angle.shape, 5000)

    def grid():
        return theory.risk_after_steps("fine_tuning", steps, angle, ratio, 0.2, learning_rate=0.01)

    assert cpu_seconds(grid, 1) <= 10.0
    assert np.all(np.isfinite(grid()))
