"""Decompositions: which method a device is given, and how exact the one for TPUs is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import linalg

WIDE = 264  # above what TPUs do side by side by default


def sample(count, dim=WIDE):
    inputs = np.random.default_rng(count).standard_normal((count, dim))
    return inputs.T @ inputs / count


def by_xla(matrix):
    """XLA's Jacobi, as it is lowered for a TPU, on this CPU."""
    shapes = [jax.ShapeDtypeStruct(shape, matrix.dtype) for shape in (matrix.shape, matrix.shape[:-1])]
    call = jax.ffi.ffi_call("Eigh", shapes, custom_call_api_version=1, legacy_backend_config="1,1,100,1e-6")
    vectors, values = call(matrix)
    return values, vectors


def lowered(function, platform, *shape):
    abstract = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.jit(function).trace(abstract).lower(lowering_platforms=(platform,)).as_text()


def test_matrices_of_a_batch_are_decomposed_side_by_side_on_every_device():
    batch = (3, WIDE, WIDE)
    on_tpu = lowered(jax.vmap(linalg.eigh), "tpu", *batch)
    assert "custom_call @Eigh(" in on_tpu
    assert '"1,1,100,1e-6"' in on_tpu  # what `by_xla` is
    assert "stablehlo.while" not in on_tpu
    assert "stablehlo.while" in lowered(jax.vmap(jnp.linalg.eigh), "tpu", *batch)  # the default does loop
    assert "syevd" in lowered(jax.vmap(linalg.eigh), "cpu", *batch)
    assert "syevd" in lowered(jax.vmap(linalg.eigh), "cuda", *batch)


@pytest.mark.parametrize("count", [WIDE // 2, WIDE, 2 * WIDE])
@pytest.mark.parametrize(("wide", "values_within", "vectors_within"), [(False, 1e-5, 3e-5), (True, 2e-6, 1e-12)])
def test_jacobi_is_as_exact_as_its_docstring_says(count, wide, values_within, vectors_within):
    exact = np.linalg.eigvalsh(sample(count))
    with jax.enable_x64(wide):
        values, vectors = (np.asarray(part, np.float64) for part in jax.jit(by_xla)(jnp.asarray(sample(count))))
    assert np.abs(values - exact).max() < values_within * exact[-1]
    assert np.abs(vectors.T @ vectors - np.eye(WIDE)).max() < vectors_within
    residual = sample(count) @ vectors - vectors * values
    assert np.abs(residual).max() < 2e-6 * exact[-1]


def test_ridges_side_by_side_are_those_of_one_solve_each(x64):
    gram, cross = jnp.asarray(sample(3, 6)), jnp.arange(6.0)
    solutions = linalg.ridge_solutions(gram, cross, jnp.asarray([0.0, 0.2, 3.0]))
    np.testing.assert_allclose(solutions[0], np.linalg.pinv(gram, rcond=1e-10) @ cross, rtol=1e-8, atol=1e-10)
    for ridge, solution in ((0.2, solutions[1]), (3.0, solutions[2])):
        np.testing.assert_allclose(solution, np.linalg.solve(gram + ridge * np.eye(6), cross), rtol=1e-10)
