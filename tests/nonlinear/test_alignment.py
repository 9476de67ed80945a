"""Alignment of kernels: 1 on itself, the definition by sampling, and less for other neurons."""

import jax
import jax.numpy as jnp
import pytest

from tlx.nonlinear.alignment import kernel_alignment
from tlx.nonlinear.teachers import teacher_pair


@pytest.mark.slow
def test_alignment_is_one_on_itself_and_agrees_with_its_definition(x64, key):
    pair = teacher_pair(key, "rotation", 1.0, dim=4, num_neurons=3)
    assert jnp.allclose(kernel_alignment(pair.target, pair.target, "relu"), 1, rtol=1e-12)
    value = kernel_alignment(pair.source, pair.target, "relu")
    one, two = jax.random.normal(jax.random.fold_in(key, 1), (2, 400_000, 4))

    def kernel(network):
        weights = jnp.abs(network.output_weights) / jnp.linalg.norm(network.neurons, axis=1)
        return (jax.nn.relu(one @ network.neurons.T) * jax.nn.relu(two @ network.neurons.T)) @ weights

    left, right = kernel(pair.source), kernel(pair.target)
    sampled = jnp.mean(left * right) / jnp.sqrt(jnp.mean(left**2) * jnp.mean(right**2))
    assert abs(sampled - value) < 0.02
    assert value < 0.97
