"""Several outputs: refits and full matrices on drawn data; where the sum over singular values holds and where not."""

import jax
import numpy as np
import pytest
from theory_simulation import descend_layers

from tlx import theory

DIM, ANGLES, TARGETS, SOURCES = 80, np.array([0.5, 1.2]), np.array([1.3, 0.8]), np.array([1.0, 0.7])


def teachers(turn=0.0, dim=DIM):
    """B_t and B_s of two outputs with principal angles ANGLES; the target's output vectors turned by `turn`."""
    axes = np.eye(dim)[:, :4]
    source = axes[:, :2] * SOURCES
    inputs = axes[:, :2] * np.cos(ANGLES) + axes[:, 2:] * np.sin(ANGLES)
    outputs = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (inputs * TARGETS) @ outputs, source


def data(rng, count, samples, target, noise):
    inputs = rng.normal(size=(count, samples, len(target)))
    return inputs, inputs @ target + noise * rng.normal(size=(count, samples, target.shape[1]))


def squared(estimate, target):
    return np.sum((estimate - target) ** 2, axis=(-1, -2))


@pytest.mark.parametrize(("turn", "samples"), [(0.0, 12), (0.9, 12), (0.4, 40)])
def test_linear_transfer_is_exact_however_outputs_are_turned(x64, turn, samples):
    """20,000 data sets; one output's noise, or one feature fewer, is told apart."""
    rng, noise = np.random.default_rng(samples), 0.5
    target, source = teachers(turn, dim=8)
    target = np.pad(target, ((0, 0), (0, 1)))  # a third output that is only noise
    inputs, labels = data(rng, 20_000, samples, target, noise)
    seen = inputs[..., :2]
    turned = np.swapaxes(seen, 1, 2)
    estimate = np.pad(np.linalg.solve(turned @ seen, turned @ labels), ((0, 0), (0, 6), (0, 0)))
    measured = squared(estimate, target)
    expected = float(theory.multi_output_linear_transfer_risk(target, source @ np.ones((2, 2)) + source, noise,
                                                              num_samples=samples))  # fmt: skip
    error = measured.std() / np.sqrt(len(measured))
    assert abs(measured.mean() - expected) < 4 * error
    fewer = theory.multi_output_linear_transfer_risk(target[:, :2], source, noise, num_samples=samples)
    assert abs(measured.mean() - float(fewer)) > 6 * error
    rho = np.sum(TARGETS**2 * np.sin(ANGLES) ** 2) if turn == 0 else None
    if rho is not None:
        np.testing.assert_allclose(expected, rho + (3 * noise**2 + rho) * 2 / (samples - 3), rtol=1e-12)


def trained_risks(turn, depth, noise, count=150):
    """Risks of scratch and of fine-tuned full matrices from the balanced source, at n = d/2."""
    target, _ = teachers(turn)
    inputs, labels = data(np.random.default_rng(depth), count, DIM // 2, target, noise)
    size = SOURCES ** (1 / depth)
    first = np.pad(np.diag(size), ((0, DIM - 2), (0, 0)))
    begin = [first] + [np.diag(size)] * (depth - 1)
    ends = descend_layers(inputs, labels, begin, 0.02, 3000, trained=range(depth))
    turned = np.swapaxes(inputs, 1, 2)
    scratch = turned @ np.linalg.solve(inputs @ turned, labels)
    return squared(scratch, target), squared(ends, target)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3])
def test_shared_output_vectors_are_a_sum_over_modes(x64, depth):
    """Full matrices, 150 data sets at d = 80, n = 40, sigma = 1: within 4 standard errors plus the limit's O(1/d)."""
    scratch, tuned = trained_risks(0.0, depth, 1.0)
    options = {"target_values": TARGETS, "source_values": SOURCES, "depth": depth}
    limit = float(theory.multi_output_scratch_risk(0.5, 1.0, 2, target_norm=np.linalg.norm(TARGETS)))
    gain = limit - float(theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 1.0, **options))
    published = limit - float(theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 1.0, published=True, **options))
    saved = scratch - tuned
    error = saved.std() / np.sqrt(len(saved))
    assert abs(saved.mean() - gain) < 4 * error + 2 * abs(limit - gain) / DIM
    assert abs(saved.mean() - published) > 5 * error


@pytest.mark.slow
def test_turned_output_vectors_are_not(x64):
    """The same singular values and angles with the outputs turned by 1.2: the sum is rejected."""
    scratch, tuned = trained_risks(1.2, 2, 0.3)
    options = {"target_values": TARGETS, "source_values": SOURCES}
    limit = float(theory.multi_output_scratch_risk(0.5, 0.3, 2, target_norm=np.linalg.norm(TARGETS)))
    gain = limit - float(theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 0.3, **options))
    saved = scratch - tuned
    assert abs(saved.mean() - gain) > 6 * saved.std() / np.sqrt(len(saved)) + 0.1


@pytest.mark.slow
def test_one_output_and_idle_outputs(x64):
    ratios, noises = np.array([0.3, 0.8, 1.5])[:, None], np.array([0.2, 1.0])[None]
    one = theory.multi_output_fine_tuning_risk(np.array([0.7]), ratios, noises, depth=3)
    np.testing.assert_allclose(one, theory.fine_tuning_risk(0.7, ratios, noises, depth=3), rtol=1e-13)
    three = theory.multi_output_fine_tuning_risk(np.array([0.7]), ratios, noises, depth=3, num_outputs=3)
    np.testing.assert_allclose(three - one, 2 * theory.scratch_risk(ratios, noises, target_norm=0.0), rtol=1e-12)
    above = theory.multi_output_fine_tuning_risk(ANGLES, 1.5, 0.4, num_outputs=4)
    np.testing.assert_allclose(above, theory.multi_output_scratch_risk(1.5, 0.4, 4), rtol=1e-12)
    assert np.isinf(theory.multi_output_fine_tuning_risk(ANGLES, 1.0, 0.4))
    frozen = theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 0.4, depth=4, trained_layers=1)
    np.testing.assert_allclose(frozen, theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 0.4, published=True))
    assert np.isinf(theory.multi_output_linear_transfer_risk(*teachers(dim=9), 0.4, num_samples=3))
    slope = jax.grad(lambda t: theory.multi_output_linear_transfer_risk(t, teachers(dim=9)[1], 0.4, num_samples=9))
    assert np.all(np.isfinite(slope(teachers(dim=9)[0])))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.multi_output_fine_tuning_risk(0.5, 0.5, 0.2), "overlap_angles"),
        (lambda: theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 0.2, num_outputs=1), "num_outputs"),
        (lambda: theory.multi_output_fine_tuning_risk(ANGLES, 0.5, 0.2, trained_layers=3), "trained_layers"),
        (lambda: theory.multi_output_linear_transfer_risk(np.ones((3, 2)), np.ones((4, 2)), 0.2), "must be"),
        (lambda: theory.multi_output_scratch_risk(0.5, 0.2, 0), "num_outputs"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
