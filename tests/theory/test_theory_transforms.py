"""Every closed form works under jit, vmap and grad, broadcasts, and agrees in float32 and float64."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import theory

pytestmark = [pytest.mark.slow, pytest.mark.extended]

# one call per public function: positional values that may all be traced, and the fixed keywords
SPECTRUM, TARGET, SOURCE = np.linspace(0.5, 1.5, 12), np.cos(np.arange(12.0)), np.sin(np.arange(12.0))
MATRICES = np.cos(np.arange(24.0)).reshape(12, 2), np.sin(np.arange(24.0) ** 2).reshape(12, 2)
CALLS = {
    "scratch_risk": (lambda g, s: theory.scratch_risk(g, s, target_norm=1.2), (0.6, 0.3)),
    "scratch_risk exact": (lambda g, s: theory.scratch_risk(g, s, dim=50), (0.6, 0.3)),
    "ridge_risk": (theory.ridge_risk, (0.6, 0.3, 0.2)),
    "optimal_ridge": (theory.optimal_ridge, (0.6, 0.3)),
    "optimal_ridge_risk": (theory.optimal_ridge_risk, (0.6, 0.3)),
    "linear_transfer_risk": (
        lambda t, s, r: theory.linear_transfer_risk(t, s, num_samples=20.0, ridge=r),
        (0.8, 0.3, 0.1),
    ),
    "linear_transfer_risk ridgeless": (
        lambda t, s, n: theory.linear_transfer_risk(t, s, num_samples=n),
        (0.8, 0.3, 20.0),
    ),
    "feature_transfer_risk": (lambda e, s, n: theory.feature_transfer_risk(3, e, s, num_samples=n), (0.2, 0.3, 20.0)),
    "feature_transfer_risk ridged": (
        lambda e, s, r: theory.feature_transfer_risk(3, e, s, num_samples=20.0, ridge=r),
        (0.2, 0.3, 0.1),
    ),
    "optimal_linear_transfer_ridge": (
        lambda t, s, n: theory.optimal_linear_transfer_ridge(t, s, num_samples=n),
        (0.8, 0.3, 20.0),
    ),
    "optimal_linear_transfer_risk": (
        lambda t, s, n: theory.optimal_linear_transfer_risk(t, s, num_samples=n, source_ratio=0.5),
        (0.8, 0.3, 20.0),
    ),
    "linear_transfer_risk finite source": (
        lambda t, g, s: theory.linear_transfer_risk(t, 0.3, source_ratio=g, source_noise_std=s, num_samples=20, dim=50),
        (0.8, 1.1, 0.3),
    ),
    "l2sp_risk": (lambda t, g, s, p: theory.l2sp_risk(t, g, s, p, target_norm=1.2), (0.8, 0.6, 0.3, 0.2)),
    "optimal_l2sp_penalty": (theory.optimal_l2sp_penalty, (0.8, 0.6, 0.3)),
    "optimal_l2sp_risk": (theory.optimal_l2sp_risk, (0.8, 0.6, 0.3)),
    "tuned_break_even_angle": (
        lambda r, q, s: theory.tuned_break_even_angle(
            target_norm=r, source_norm=q, source_ratio=0.6, source_noise_std=s
        ),
        (1.2, 0.8, 0.3),
    ),
    "layerwise_l2sp_risk": (
        lambda t, g, s, w: theory.layerwise_l2sp_risk(t, g, s, w, depth=3),
        (0.8, 0.6, 0.3, 0.2),
    ),
    "optimal_layerwise_l2sp_risk": (theory.optimal_layerwise_l2sp_risk, (0.8, 0.6, 0.3)),
    "source_ridge_risk": (
        lambda t, g, s, p: theory.source_ridge_risk(t, g, s, p, num_samples=20),
        (0.8, 0.6, 0.3, 0.2),
    ),
    "optimal_source_ridge_penalty": (theory.optimal_source_ridge_penalty, (0.8, 0.6, 0.3)),
    "optimal_source_ridge_risk": (theory.optimal_source_ridge_risk, (0.8, 0.6, 0.3)),
    "multi_output_scratch_risk": (lambda g, s: theory.multi_output_scratch_risk(g, s, 3), (0.6, 0.3)),
    "multi_output_linear_transfer_risk": (
        lambda s, n: theory.multi_output_linear_transfer_risk(MATRICES[0], MATRICES[1], s, num_samples=n),
        (0.3, 20.0),
    ),
    "multi_output_fine_tuning_risk": (
        lambda g, s: theory.multi_output_fine_tuning_risk(np.array([0.5, 1.1]), g, s, num_outputs=3),
        (0.6, 0.3),
    ),
    "fine_tuning_risk trained": (
        lambda t, g, s: theory.fine_tuning_risk(t, g, s, depth=4, trained_layers=2),
        (0.8, 0.6, 0.3),
    ),
    "fine_tuning_risk": (lambda t, g, s: theory.fine_tuning_risk(t, g, s, depth=3, source_ratio=0.5), (0.8, 0.6, 0.3)),
    "fine_tuning_risk exact": (lambda t, g, s: theory.fine_tuning_risk(t, g, s, dim=50), (0.8, 0.6, 0.3)),
    "fine_tuning_gain": (theory.fine_tuning_gain, (0.8, 0.6, 0.3)),
    "pretrained_norm": (theory.pretrained_norm, (0.6, 0.3)),
    "pretrained_angle": (theory.pretrained_angle, (0.8, 0.6, 0.3)),
    "method_risk": (lambda t, g, s: theory.method_risk("fine_tuning", t, g, s), (0.8, 0.6, 0.3)),
    "transferability": (lambda t, g, s: theory.transferability("linear_transfer", t, g, s), (0.8, 0.6, 0.3)),
    "negative_transfer_boundary": (
        lambda t, s: theory.negative_transfer_boundary("linear_transfer", t, s)[..., 0],
        (1.2, 0.3),
    ),
    "negative_transfer_boundary tuned": (
        lambda t, s: theory.negative_transfer_boundary("fine_tuning", t, s)[..., 0],
        (1.0, 0.6),
    ),
    "break_even_angle": (lambda g, s: theory.break_even_angle("fine_tuning", g, s), (0.6, 0.3)),
    "pretraining_norm": (lambda t, x: theory.pretraining_norm(t, x, depth=3), (0.8, 0.2)),
    "pretraining_time": (lambda x, x0: theory.pretraining_time(x, x0, depth=3), (0.8, 0.2)),
    "pretraining_path": (lambda t, x, a: theory.pretraining_path(t, x, a)[0], (0.8, 0.2, 0.5)),
    "ridge_of_norm": (theory.ridge_of_norm, (0.1, 0.8)),
    "weight_decay_ridge": (theory.weight_decay_ridge, (0.6, 0.3, 0.1)),
    "weight_decay_risk": (theory.weight_decay_risk, (0.6, 0.3, 0.1)),
    "implicit_ridge": (lambda n: theory.implicit_ridge(SPECTRUM, n), (5.0,)),
    "covariance_scratch_risk": (lambda s, n: theory.covariance_scratch_risk(SPECTRUM, TARGET, s, n), (0.3, 5.0)),
    "covariance_linear_transfer_risk": (
        lambda s, n, r: theory.covariance_linear_transfer_risk(SPECTRUM, TARGET, SOURCE, s, num_samples=n, ridge=r),
        (0.3, 5.0, 0.1),
    ),
    "covariance_fine_tuning_risk": (
        lambda s, n: theory.covariance_fine_tuning_risk(SPECTRUM, TARGET, SOURCE, s, n, depth=3),
        (0.3, 5.0),
    ),
    "effective_start_norm": (lambda a, b: theory.effective_start_norm(a * jnp.ones(3), b * jnp.ones(3)), (0.1, 0.2)),
}
UNTRACED = {"transfer_sign"}  # piecewise constant: nothing to differentiate


def over_time(function):
    """The theory of training over time has transformation tests of its own (test_training_transforms)."""
    return function.__module__.startswith("tlx.theory.training.")


def test_every_public_function_is_here():
    functions = {name: value for name, value in vars(theory).items() if inspect.isfunction(value)}
    public = {name for name, value in functions.items() if not (name.startswith("_") or over_time(value))}
    assert public - UNTRACED == {name.split()[0] for name in CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_grad_is_the_finite_difference(x64, name):
    call, point = CALLS[name]
    gradients = jax.jit(jax.grad(call, argnums=tuple(range(len(point)))))(*point)
    steps = [1e-6 * max(abs(x), 1.0) for x in point]
    compiled = jax.jit(call)
    for index, (gradient, h) in enumerate(zip(gradients, steps, strict=True)):
        high, low = (compiled(*(x + d * (i == index) for i, x in enumerate(point))) for d in (h, -h))
        np.testing.assert_allclose(gradient, (high - low) / (2 * h), rtol=2e-5, atol=2e-8)


@pytest.mark.parametrize("name", CALLS)
def test_jit_vmap_and_precision(name):
    call, point = CALLS[name]
    compiled = jax.jit(call)
    plain = np.asarray(call(*point))
    assert plain.dtype == np.float32
    assert np.isfinite(plain)
    np.testing.assert_allclose(compiled(*point), plain, rtol=1e-5)
    lanes = [np.full(3, x, np.float32) * np.array([1.0, 1.01, 0.98], np.float32) for x in point]
    rows = jax.jit(jax.vmap(call))(*lanes)
    each = [compiled(*(float(lane[i]) for lane in lanes)) for i in range(3)]
    np.testing.assert_allclose(rows, each, rtol=2e-4, atol=1e-6)
    with jax.enable_x64(True):
        double = np.asarray(jax.jit(call)(*point))
        assert double.dtype == np.float64
    np.testing.assert_allclose(plain, double, rtol=2e-4, atol=1e-6)


BROADCAST = [n for n in CALLS if n not in ("effective_start_norm",)]


@pytest.mark.parametrize("name", BROADCAST)
def test_arguments_broadcast(x64, name):
    call, point = CALLS[name]
    compiled = jax.jit(call)
    arguments = [
        np.asarray([x, 1.01 * x]).reshape([-1 if j == i else 1 for j in range(len(point))]) for i, x in enumerate(point)
    ]
    table = np.asarray(compiled(*arguments))
    assert table.shape == (2,) * len(point)
    for place in np.ndindex(table.shape):
        one = compiled(*(float(a.ravel()[i]) for a, i in zip(arguments, place)))
        np.testing.assert_allclose(table[place], one, rtol=1e-9)
