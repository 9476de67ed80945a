"""Renyi divergence between two tasks' joint laws."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx._checks import check_positive, require
from tlx.discrepancy.laws import InputNodes, Law, both_linear, check_laws, inputs_weights, output_difference, separation


def renyi(order: float, *, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """D_a(p_source || p_target) = log(E_q[(p/q)^a]) / (a - 1), in nats, p the source's and q the target's law.

    Given x: (p/q)^a averages to A exp(-a (1-a) t²/(2 v)), v = a sigma_t² + (1-a) sigma_s²,
    A = sigma_s^{1-a} sigma_t^a / sqrt(v), t = f_source(x) - f_target(x). For two linear laws, s = |beta_s - beta_t|:
    E_q[(p/q)^a] = A (1 + a (1-a) s²/v)^{-1/2}.

    Args:
        order: a > 0, not 1 (the limit a -> 1 is Kullback-Leibler, a = 2 is log(1 + chi²)).
        source: noise_std > 0.
        target: noise_std > 0.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        Exact for two linear laws. Infinite for a > 1 once v <= 0 or a (a-1) s² >= v: the tails of x make it diverge
        although
        it is finite at every x. With drawn inputs the average over x is unbiased before the logarithm, and for
        a > 1 of heavy tail: it cannot show the divergence. No ceiling for any a (below 1 it grows like log s).
    """
    check_positive("order", order)
    require(order != 1, "order = 1 is the Kullback-Leibler divergence: use kullback_leibler.")
    check_laws(source, target, noisy=True)
    return jnp.log(power_mean(order, source, target, inputs)) / (order - 1)


def power_mean(order: float, source: Law, target: Law, inputs: InputNodes | None) -> Float[Array, ""]:
    """E_q[(p/q)^a], infinite where it diverges."""
    noise, reference = jnp.asarray(source.noise_std), jnp.asarray(target.noise_std)
    variance = order * reference**2 + (1 - order) * noise**2
    safe = jnp.where(variance > 0, variance, 1.0)
    prefactor = noise ** (1 - order) * reference**order / jnp.sqrt(safe)
    if both_linear(source, target):
        inverse = 1 + order * (1 - order) * separation(source, target) ** 2 / safe
        mean = jnp.where(inverse > 0, jnp.where(inverse > 0, inverse, 1.0) ** -0.5, jnp.inf)
    else:
        difference = output_difference(source, target, inputs)
        mean = jnp.sum(inputs_weights(inputs) * jnp.exp(-order * (1 - order) * difference**2 / (2 * safe)))
    return jnp.where(variance > 0, prefactor * mean, jnp.inf)
