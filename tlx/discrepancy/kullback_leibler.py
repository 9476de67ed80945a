"""Kullback-Leibler divergence between two tasks' joint laws."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx.discrepancy.laws import InputNodes, Law, both_linear, check_laws, inputs_weights, output_difference, separation


def kullback_leibler(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """KL(p_source || p_target), in nats; exchange the arguments for the other direction.

    log(sigma_t/sigma_s) + (sigma_s² + E t²)/(2 sigma_t²) - 1/2,  t = f_source(x) - f_target(x);
    with equal noise E t²/(2 sigma²), the same both ways: (1 - cos(angle))/sigma² for unit linear tasks.

    Args:
        source: the law whose samples are averaged over; noise_std > 0.
        target: the reference law; noise_std > 0.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        Exact for two linear laws (E t² = |beta_s - beta_t|²) and exact given the nodes otherwise: unbiased with drawn
        inputs. No ceiling: it grows as |f_s - f_t|² also when the two tasks share every feature.

    Source: v2 Appendix A for equal noise.
    """
    check_laws(source, target, noisy=True)
    if both_linear(source, target):
        square = separation(source, target) ** 2
    else:
        square = jnp.sum(inputs_weights(inputs) * output_difference(source, target, inputs) ** 2)
    noise, reference = jnp.asarray(source.noise_std), jnp.asarray(target.noise_std)
    return jnp.log(reference / noise) + (noise**2 + square) / (2 * reference**2) - 0.5
