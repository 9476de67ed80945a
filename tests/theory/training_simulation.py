"""Networks trained on drawn data, for the tests of the theory of training: all that they import of the simulation.

Every function returns the excess risk of each instance at each time, shape (instances, times).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tlx.linear import chain as spectral
from tlx.linear import data, flow_path
from tlx.linear import task as tasks
from tlx.train import Optimizer


class Task(NamedTuple):
    """One setting; `source` is (g_s, sigma_s), `exponent` the power law of the input covariance."""

    angle: float
    ratio: float
    noise: float
    depth: int = 2
    norm: float = 1.0
    source_norm: float = 1.0
    source: tuple[float, float] | None = None
    exponent: float = 0.0
    dim: int = 300

    @property
    def count(self):
        return round(self.ratio * self.dim)


class Problem(NamedTuple):
    """One instance in the eigenbasis of its data."""

    modes: spectral.Modes
    target: jax.Array
    pretrained: jax.Array
    weight: jax.Array  # the input covariance in that basis is basis^T diag(spectrum) basis: applied by `risk`
    basis: jax.Array


def draw(key, task):
    """Inputs, labels, the target and what was pretrained."""
    spectrum = tasks.power_law_spectrum(task.dim, task.exponent)
    pair = tasks.linear_pair(key, task.angle, spectrum, target_norm=task.norm, source_norm=task.source_norm)
    inputs, labels = data.draw(jax.random.fold_in(key, 1), pair.target, spectrum, task.noise, task.count)
    pretrained = pair.source
    if task.source is not None:
        ratio, noise = task.source
        rows = data.draw(jax.random.fold_in(key, 2), pair.source, spectrum, noise, round(ratio * task.dim))
        pretrained = jnp.linalg.pinv(rows[0]) @ rows[1]
    return inputs, labels, pair.target, pretrained, spectrum


def problem(key, task):
    """The instance that `key` draws."""
    inputs, labels, target, pretrained, spectrum = draw(key, task)
    basis, modes = spectral.decompose(data.moments(inputs, labels))
    return Problem(modes, basis.T @ target, basis.T @ pretrained, spectrum, basis)


def risk(one, beta):
    """Excess population risk of a predictor in the basis of the modes."""
    return jnp.sum(one.weight * (one.basis @ (beta - one.target)) ** 2)


def start(one, task, init_scale):
    """The balanced chain of the pretrained vector, or a small one along b."""
    if init_scale is None:
        return spectral.balanced(one.pretrained, task.depth)
    direction = one.modes.cross / jnp.linalg.norm(one.modes.cross)
    return spectral.Chain(init_scale * direction, jnp.sqrt(task.depth - 1.0) * init_scale)


def over(instances, run, seed):
    """`run` of one key for each instance, one compiled program."""
    keys = jax.random.split(jax.random.key(seed), instances)
    return jax.tree.map(np.asarray, jax.jit(lambda keys: jax.lax.map(run, keys))(keys))


def flow(task, times, instances, seed, init_scale=None):
    """Gradient flow of a chain: (risk, norm of beta)."""

    def run(key):
        one = problem(key, task)
        return flow_path.path(
            one.modes, start(one, task, init_scale), task.depth, jnp.asarray(times),
            lambda beta: (risk(one, beta), jnp.linalg.norm(beta)),
        )  # fmt: skip

    return over(instances, run, seed)


def descent(task, steps, learning_rate, instances, seed, momentum=0.0, init_scale=None):
    """Gradient descent of a chain, read after given numbers of steps."""
    rule = Optimizer(learning_rate, int(max(steps)), momentum=momentum, tolerance=0.0)

    def run(key):
        one = problem(key, task)

        def look(chain):
            return risk(one, spectral.predictor(chain, task.depth))

        begin = start(one, task, init_scale)
        result = spectral.descend(
            one.modes, begin, task.depth, rule, observe=look, record_at=tuple(int(step) for step in steps)
        )
        return result.curve

    return over(instances, run, seed)


def head(task, times, count, instances, seed):
    """The last layer alone from zero, by flow, on the feature s^{L-2} u of the pretrained chain and `count` samples."""

    def run(key):
        pair = tasks.linear_pair(
            key, task.angle, jnp.ones(task.dim), target_norm=task.norm, source_norm=task.source_norm
        )
        inputs, labels = data.draw(jax.random.fold_in(key, 1), pair.target, jnp.ones(task.dim), task.noise, count)
        feature = pair.source * jnp.linalg.norm(pair.source) ** (-1 / task.depth)
        seen = inputs @ feature
        modes = spectral.Modes(jnp.mean(seen**2)[None], jnp.mean(seen * labels)[None], jnp.mean(labels**2))
        zero = spectral.Chain(jnp.zeros(1), jnp.zeros(()))
        return flow_path.path(
            modes, zero, 1, jnp.asarray(times), lambda weight: jnp.sum((weight[0] * feature - pair.target) ** 2)
        )

    return over(instances, run, seed)


def stochastic(task, steps, learning_rate, batch, instances, seed, replacement=True):
    """Mini-batch descent of a chain on rows drawn afresh at every step: (risk, (s/s_0)^{L-1}) after each of `steps`."""

    def run(key):
        inputs, labels, target, pretrained, _ = draw(key, task)
        size = jnp.linalg.norm(pretrained) ** (1 / task.depth)
        chain = pretrained / size ** (task.depth - 1), size

        def loss(chain, rows):
            first, rest = chain
            return jnp.mean((inputs[rows] @ first * rest ** (task.depth - 1) - labels[rows]) ** 2)

        def step(chain, number):
            stream = jax.random.fold_in(jax.random.fold_in(key, 3), number)
            rows = jax.random.choice(stream, task.count, (batch,), replace=replacement)
            slope = jax.grad(loss)(chain, rows)
            # layers 2..L are L-1 copies of s, each with a share of the slope
            moved = (slope[0], slope[1] / (task.depth - 1))
            chain = jax.tree.map(lambda w, g: w - learning_rate * g, chain, moved)
            return chain, None

        def segment(carry, stop):
            number, chain = carry
            chain = jax.lax.fori_loop(number, stop, lambda i, c: step(c, i)[0], chain)
            beta = chain[0] * chain[1] ** (task.depth - 1)
            return (stop, chain), (jnp.sum((beta - target) ** 2), (chain[1] / size) ** (task.depth - 1))

        return jax.lax.scan(segment, (jnp.zeros((), jnp.int32), chain), jnp.asarray(steps, jnp.int32))[1]

    keys = jax.random.split(jax.random.key(seed), instances)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(run))(keys))


def z_scores(values, theory):
    """Distance of the mean over instances from the theory at each time, in standard errors."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return (values.mean(axis=0) - np.asarray(theory)) / error
