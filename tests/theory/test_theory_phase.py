"""The sign of transfer and its boundaries: the boundary is where transferability vanishes, and nowhere else."""

import jax.numpy as jnp
import numpy as np
import pytest

from tlx import theory

SOURCES = [{}, {"source_ratio": 0.5, "source_noise_std": 0.2}, {"source_ratio": 1.5, "source_noise_std": 0.4}]
NORMS = [{}, {"target_norm": 2.0}, {"target_norm": 0.6, "source_norm": 1.5}]


def sign_changes(method, angle, noise, low, high, **options):
    """Ratios at which T changes sign, by scanning a fine grid (n -> inf for linear transfer)."""
    ratios = np.concatenate([np.linspace(low, 1 - 1e-6, 40_001), np.linspace(1 + 1e-6, high, 40_001)])
    sign = np.sign(np.asarray(theory.transferability(method, angle, ratios, noise, **options)))
    crossings = (sign[1:] * sign[:-1] < 0) & (ratios[1:] - ratios[:-1] < 1e-2)
    return (ratios[1:] + ratios[:-1])[crossings] / 2, ratios[1] - ratios[0]


@pytest.mark.parametrize("method", ["linear_transfer", "fine_tuning"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("norms", NORMS)
@pytest.mark.parametrize(("angle", "noise"), [(0.5, 0.2), (0.8, 0.5), (1.2, 0.2), (1.5, 1.0)])
def test_boundary_is_every_sign_change(x64, method, source, norms, angle, noise):
    """In (0.001, 8): each root is a sign change and each sign change a root."""
    found, step = sign_changes(method, angle, noise, 1e-3, 8.0, **source, **norms)
    edges = np.asarray(theory.negative_transfer_boundary(method, angle, noise, **source, **norms))
    edges = np.sort(edges[np.isfinite(edges) & (edges > 1e-3) & (edges < 8 - 1e-3)])
    if method == "fine_tuning":
        edges = edges[edges < 1 - 1e-6]
    assert len(found) == len(edges), (found, edges)
    np.testing.assert_allclose(found, edges, atol=max(2 * step, 4e-4))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("method", ["linear_transfer", "fine_tuning"])
def test_break_even_angle_is_where_transferability_vanishes(x64, method, source):
    for ratio in (0.2, 0.5, 0.8):
        angle = theory.break_even_angle(method, ratio, 0.3, **source)
        if not 0 < angle < np.pi / 2:
            scan = theory.transfer_sign(method, np.linspace(1e-3, np.pi / 2 - 1e-3, 101), ratio, 0.3, **source)
            assert len(set(np.asarray(scan).tolist())) == 1
            continue
        around = theory.transferability(method, angle + jnp.array([-1e-6, 0.0, 1e-6]), ratio, 0.3, **source)
        assert around[0] > 0 > around[2]
        np.testing.assert_allclose(around[1], 0.0, atol=1e-9)


def test_published_break_even_is_sixty_degrees(x64):
    angle = theory.break_even_angle("fine_tuning", np.array([0.1, 0.5, 0.9]), 0.7, published=True)
    np.testing.assert_allclose(angle, np.pi / 3, rtol=1e-12)
    exact = theory.break_even_angle("fine_tuning", 0.5, 0.7)
    assert abs(float(exact) - np.pi / 3) > 0.02
    independent = theory.break_even_angle("fine_tuning", 0.5, 1.0)  # found by others too: 52.2 degrees
    np.testing.assert_allclose(np.degrees(independent), 52.2, atol=0.05)


def test_linear_region_opens_at_the_stated_angle(x64):
    """Population source, r = 1: a negative region below n = d exists iff theta > arccos(1 - sigma)."""
    for noise in (0.1, 0.5, 0.9):
        opening = np.arccos(1 - noise)
        before, after = (
            theory.negative_transfer_boundary("linear_transfer", opening + e, noise) for e in (-1e-6, 1e-6)
        )
        assert np.isnan(before[:2]).all()
        assert np.isfinite(after[:2]).all()


@pytest.mark.slow
def test_anomalous_positive_transfer(x64):
    """Around n = d transfer helps at every angle, for any noise."""
    angles = np.linspace(0.1, np.pi / 2, 20)
    _, upper, beyond = np.moveaxis(np.asarray(theory.negative_transfer_boundary("linear_transfer", angles, 0.2)), -1, 0)
    for edge, ratio in ((upper, 1 - 1e-4), (beyond, 1 + 1e-4)):
        inside = np.isfinite(edge)
        assert inside.sum() >= 10  # from theta = arccos(0.8) on
        np.testing.assert_array_equal(theory.transfer_sign("linear_transfer", angles[inside], ratio, 0.2), 1.0)


def test_poles_of_transferability(x64):
    assert theory.transferability("linear_transfer", 1.0, 1.0, 0.2) == np.inf
    assert theory.transferability("fine_tuning", 1.0, 1.0, 0.2) == 0.0
    assert theory.transferability("linear_transfer", 1.0, 0.5, 0.2, num_samples=2) == -np.inf
    np.testing.assert_array_equal(theory.transferability("scratch", 1.0, np.array([0.5, 1.0, 2.0]), 0.2), 0.0)


def test_transferability_is_the_difference_of_risks(x64):
    angles, options = np.array([0.2, 1.0, 2.5]), {"target_norm": 1.3, "source_ratio": 0.7, "source_noise_std": 0.3}
    for method in ("linear_transfer", "fine_tuning"):
        risk = theory.method_risk(method, angles, 0.6, 0.4, num_samples=30, **options)
        gain = theory.transferability(method, angles, 0.6, 0.4, num_samples=30, **options)
        np.testing.assert_allclose(gain, theory.scratch_risk(0.6, 0.4, target_norm=1.3) - risk, rtol=1e-10)
        tuned = theory.transferability(method, angles, 0.6, 0.4, baseline="optimal_ridge", num_samples=30, **options)
        best = theory.optimal_ridge_risk(0.6, 0.4, target_norm=1.3)
        np.testing.assert_allclose(tuned, best - risk, rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.transferability("finetuning", 1.0, 0.5, 0.2), "protocol"),
        (lambda: theory.transferability("fine_tuning", 4.0, 0.5, 0.2), "overlap_angle"),
        (lambda: theory.transferability("fine_tuning", -0.1, 0.5, 0.2), "overlap_angle"),
        (lambda: theory.transferability("fine_tuning", 1.0, 0.0, 0.2), "sample_ratio"),
        (lambda: theory.transferability("fine_tuning", 1.0, 0.5, -0.2), "noise_std"),
        (lambda: theory.transferability("fine_tuning", 1.0, 0.5, 0.2, baseline="ridge"), "baseline"),
        (lambda: theory.negative_transfer_boundary("scratch", 1.0, 0.2), "protocol"),
        (lambda: theory.break_even_angle("fine_tuning", 0.5, 0.2, depth=0), "depth"),
        (lambda: theory.linear_transfer_risk(1.0, 0.2, ridge=-1.0), "ridge"),
        (lambda: theory.linear_transfer_risk(1.0, 0.2, num_samples=-3), "num_samples"),
        (lambda: theory.scratch_risk(0.5, 0.2, dim=0), "dim"),
        (lambda: theory.fine_tuning_risk(1.0, 0.5, 0.2, source_ratio=-1.0), "source_ratio"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
