"""Closed forms against 10^6 samples (3 standard errors) and finite differences (1e-5), and where they are delicate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import kernels
from tlx.kernels import CLOSED_FORMS

NUM_SAMPLES = 1_000_000
Z_BOUND = 4.0  # the largest of some 40 correlated entries; single entries are counted against 3 below


def rows(key, count, dim=4):
    return jax.random.normal(key, (count, dim)) * jnp.linspace(0.2, 2.0, count)[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("activation", CLOSED_FORMS)
def test_gram_matrices_agree_with_a_million_samples(x64, key, activation):
    form = CLOSED_FORMS[activation]
    left, right = rows(jax.random.fold_in(key, 0), 6), rows(jax.random.fold_in(key, 1), 7)
    sampled = kernels.sampled_gram(
        jax.random.fold_in(key, 2),
        lambda x: form.function(x @ left.T),
        lambda x: form.function(x @ right.T),
        dim=4,
        num_samples=NUM_SAMPLES,
    )
    z = (form.gram(left, right) - sampled.gram) / sampled.standard_error
    assert jnp.mean(jnp.abs(z) <= 3) >= 0.95
    assert jnp.max(jnp.abs(z)) < Z_BOUND
    wrong = (1.01 * form.gram(left, right) - sampled.gram) / sampled.standard_error
    assert jnp.max(jnp.abs(wrong)) > Z_BOUND  # a one per cent error would be seen


@pytest.mark.parametrize("activation", CLOSED_FORMS)
def test_gradients_agree_with_finite_differences(x64, key, activation):
    gram = CLOSED_FORMS[activation].gram
    left, right = rows(jax.random.fold_in(key, 0), 3), rows(jax.random.fold_in(key, 1), 5)
    weights = jax.random.normal(jax.random.fold_in(key, 2), (3, 5))
    for argument in (0, 1):

        @jax.jit
        def total(changed, argument=argument):
            return jnp.sum(weights * (gram(changed, right) if argument == 0 else gram(left, changed)))

        at = (left, right)[argument]
        slope = jax.grad(total)(at)
        step = 1e-5
        for index in np.ndindex(at.shape):
            shift = jnp.zeros_like(at).at[index].set(step)
            difference = (total(at + shift) - total(at - shift)) / (2 * step)
            assert abs(difference - slope[index]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("activation", CLOSED_FORMS)
def test_the_field_is_the_weighted_gram_matrix_and_its_gradient(x64, key, activation):
    form = CLOSED_FORMS[activation]
    points, neurons = rows(jax.random.fold_in(key, 0), 4), rows(jax.random.fold_in(key, 1), 6)
    weights = jax.random.normal(jax.random.fold_in(key, 2), (6,))
    value, gradient = form.field(points, neurons, weights)
    assert jnp.allclose(value, form.gram(points, neurons) @ weights, rtol=1e-12, atol=1e-12)
    expected = jax.grad(lambda p: jnp.sum(form.gram(p, neurons) @ weights))(points)
    assert jnp.allclose(gradient, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
def test_relu_at_angle_zero_pi_and_zero_vectors(x64):
    a = jnp.array([[1.5, 0.0], [0.0, 0.0]])
    b = jnp.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    gram = kernels.relu_gram(a, b)
    assert jnp.allclose(gram[0], jnp.array([1.5, 0.0, 0.0, 1.5 / (2 * np.pi)]), rtol=1e-14, atol=1e-15)
    assert jnp.all(gram[1] == 0)
    for j, expected in enumerate([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1 / (2 * np.pi), 0.25]]):
        slope = jax.grad(lambda p, j=j: kernels.relu_gram(p, b)[0, j])(a)[0]
        assert jnp.allclose(slope, jnp.array(expected), atol=1e-12)
    at_zero = jax.grad(lambda p: kernels.relu_gram(p, b)[1, 0])(a)[1]
    assert jnp.allclose(at_zero, b[0] / 4, rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("gram", [kernels.relu_gram, kernels.erf_gram])
@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-4, 1e-3, np.pi / 2, np.pi - 1e-3, np.pi - 1e-4, np.pi])
def test_single_precision_is_as_good_as_its_rounding_at_every_angle(gram, angle):
    a, b = np.array([[3.0, 0.0]]), np.array([[2 * np.cos(angle), 2 * np.sin(angle)]])

    def value_and_slope(dtype):
        arrays = jnp.asarray(a, dtype), jnp.asarray(b, dtype)
        value, slope = jax.value_and_grad(lambda x, y: gram(x, y)[0, 0])(*arrays)
        return float(value), np.asarray(slope, np.float64)

    single = value_and_slope(jnp.float32)
    with jax.enable_x64(True):
        double = value_and_slope(jnp.float64)
    assert np.isfinite(single[0])
    assert np.all(np.isfinite(single[1]))
    tolerance = 4 * np.finfo(np.float32).eps
    assert abs(single[0] - double[0]) <= tolerance * 6
    # at angles below sqrt(eps) the two rows round to parallel: the gradient's error is that angle over pi
    assert np.max(np.abs(single[1] - double[1])) <= tolerance * 6 + 2e-4 * (angle > 0) * 2


@pytest.mark.slow
def test_quadrature_for_any_activation_reports_a_bound_it_keeps(x64, key):
    # short rows: the quadrature's own error, not part of the bound, is then below 1e-9
    left, right = 0.3 * rows(jax.random.fold_in(key, 0), 4), 0.3 * rows(jax.random.fold_in(key, 1), 5)
    result = kernels.hermite_gram(kernels.erf, left, right, order=12, num_nodes=160)
    error = jnp.abs(result.gram - kernels.erf_gram(left, right))
    assert jnp.all(error <= result.truncation_bound + 1e-9)
    short = kernels.hermite_gram(kernels.erf, left, right, order=1, num_nodes=160)
    assert jnp.max(jnp.abs(short.gram - kernels.erf_gram(left, right))) > 1e-4  # the bound is not vacuous
    cubic = kernels.hermite_gram(lambda z: z**3, left, right, order=4, num_nodes=8)
    product = left @ right.T
    norms = jnp.sum(left**2, 1)[:, None] * jnp.sum(right**2, 1)[None, :]
    assert jnp.allclose(cubic.gram, 9 * norms * product + 6 * product**3, rtol=1e-10)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"tanh.*closed form.*hermite_gram.*online"):
        kernels.closed_form("tanh")
    with pytest.raises(ValueError, match="do not pair"):
        kernels.relu_gram(jnp.ones((2, 3)), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="num_nodes"):
        kernels.hermite_gram(jnp.tanh, jnp.ones((1, 2)), jnp.ones((1, 2)), order=8, num_nodes=8)
