"""Gradient descent itself, step by step, on the nodes of the spectral law: exact for any step size as d -> inf.

The chain u = alpha u_0 + phi b, s takes the steps of the network it stands for, drift of balance, momentum and all:
alpha += 2 eta k (-k l alpha), phi += 2 eta k (1 - k l phi), s += 2 eta s^{L-2} <u, e>, e = b - A beta. Mini-batches
leave the means alone and add to each mode a variance V/d, fed by the training loss.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from tlx.theory.training._measure import Measure, excess_risk


class Rule(NamedTuple):
    """The steps: learning_rate eta, heavy-ball momentum, and d/B of mini-batches (0 for the full batch)."""

    learning_rate: Array
    momentum: Array
    batch_noise: Array


class Record(NamedTuple):
    """What is read at given steps: the risk and the factor c = (s/s_0)^{L-1} on what the data do not see."""

    risk: Array
    balance: Array


class _Chain(NamedTuple):
    alpha: Array
    phi: Array
    norm: Array


def _gradient(measure: Measure, depth: Array, chain: _Chain, variance: Array, mass: Array) -> _Chain:
    alpha, phi, norm = chain
    scale = norm ** (depth - 1)
    pulled = scale * measure.nodes
    missed = 1 - pulled * phi
    terms = alpha * (measure.nodes * (missed - pulled * phi) * measure.cross - pulled * alpha * measure.source)
    labels = measure.nodes * (measure.nodes * measure.target + measure.noise)
    product = jnp.sum(terms + phi * missed * labels - pulled * mass * variance)
    inner = jnp.where(depth > 1, norm ** (depth - 2) * product, 0.0)
    return _Chain(2 * scale * pulled * alpha, -2 * scale * missed, -2 * inner)


def _spread(
    measure: Measure, depth: Array, chain: _Chain, variance: Array, mass: Array, noise: Array, rule: Rule
) -> Array:
    """The variance after one more step, fed by the loss over the sample."""
    scale = chain.norm ** (depth - 1)
    kept, fitted = scale * chain.alpha, scale * chain.phi * measure.nodes
    missed = fitted - 1
    risks = kept * (kept * measure.source + 2 * missed * measure.cross) + missed**2 * measure.target
    risks = measure.nodes * (risks + scale**2 * mass * variance)
    loss = noise**2 + jnp.sum(risks + (fitted**2 - 2 * fitted) * measure.noise)
    rate = 2 * rule.learning_rate * scale
    return (1 - rate * scale * measure.nodes) ** 2 * variance + rate**2 * rule.batch_noise * measure.nodes * loss


def descend(
    measure: Measure,
    mass: Array,
    noise: Array,
    depth: Array,
    norm: Array,
    phi: Array,
    rule: Rule,
    counts: Int[Array, " t"],
    num_steps: Int[Array, ""] | int,
    stochastic: bool,
) -> Record:
    """Take `num_steps` steps from u = u_0 + phi b, |layers| = s, and read after each of `counts` steps.

    Args:
        measure: of isotropic inputs.
        mass: weights of the nodes.
        noise: sigma.
        depth: L.
        norm: s at the start.
        phi: at the start.
        rule: the steps.
        counts: numbers of steps at which to read, at most `num_steps`.
        num_steps: a plain integer can be differentiated in reverse mode too.
        stochastic: whether there are mini-batches (static).
    """
    start = _Chain(jnp.ones_like(measure.nodes), phi + jnp.zeros_like(measure.nodes), norm)

    def look(step, chain: _Chain, variance: Array, record: Record) -> Record:
        scale = chain.norm ** (depth - 1)
        risk = excess_risk(measure, chain.alpha, chain.phi, scale)
        if stochastic:
            risk = risk + scale**2 * jnp.sum(mass * variance)
        seen = Record(risk, (chain.norm / norm) ** (depth - 1))
        return jax.tree.map(lambda new, old: jnp.where(counts == step, new, old), seen, record)

    def advance(step, carry):
        chain, velocity, variance, record = carry
        slope = _gradient(measure, depth, chain, variance, mass)
        if stochastic:
            variance = _spread(measure, depth, chain, variance, mass, noise, rule)
        velocity = jax.tree.map(lambda v, g: rule.momentum * v + g, velocity, slope)
        chain = jax.tree.map(lambda w, v: w - rule.learning_rate * v, chain, velocity)
        return chain, velocity, variance, look(step + 1, chain, variance, record)

    variance = jnp.zeros_like(measure.nodes)
    blank = Record(*(jnp.full(counts.shape, jnp.nan, norm.dtype),) * 2)
    carry = start, jax.tree.map(jnp.zeros_like, start), variance, look(0, start, variance, blank)
    return jax.lax.fori_loop(0, num_steps, advance, carry)[3]
