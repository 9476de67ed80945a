"""Risk after given numbers of steps of gradient descent or SGD, each lane at its own."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Int

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.training import _descent, _head
from tlx.theory.training._measure import marchenko_pastur
from tlx.theory.training._setting import Pretrained, Setting, over_lanes, setting, start, still

_LANES = 20  # stepped together: their nodes fit a core's cache


class Step(NamedTuple):
    """How a lane steps: eta, momentum, B (inf for the full batch), and whether batches are drawn with replacement."""

    learning_rate: Numbers
    momentum: Numbers
    batch_size: Numbers
    replacement: bool


def risk_after_steps(
    protocol: str,
    steps: Int[ArrayLike, "..."],
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    learning_rate: Numbers,
    momentum: Numbers = 0.0,
    batch_size: Numbers | None = None,
    replacement: bool = True,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    num_samples: Numbers = np.inf,
    init_scale: Numbers = 1e-5,
    pretrained: Pretrained | None = None,
) -> Result:
    """Mean excess risk after the steps that each network really took.

    alpha += 2 eta k (-k l alpha), phi += 2 eta k (1 - k l phi), s += 2 eta s^{L-2} <u, X^T(y - X beta)/n>, all at once;
    velocities v <- momentum v + gradient. Mini-batches add to every mode a variance
    V <- (1 - 2 eta k^2 l)^2 V + 4 eta^2 k^2 (d/B) l Loss; the risk gains E_l [k^2 V].

    Args:
        protocol: "scratch", "linear_transfer" or "fine_tuning".
        steps: whole numbers >= 0, one a lane; broadcast with the rest.
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        learning_rate: eta > 0.
        momentum: heavy-ball, in [0, 1).
        batch_size: B <= n of SGD, which needs `num_samples`; None for the full batch.
        replacement: whether a batch may hold a sample twice.
        depth: L >= 1.
        target_norm: r.
        source_norm: rho.
        source_ratio: g_s, inf for a population.
        source_noise_std: sigma_s.
        num_samples: n.
        init_scale: layer norm of a start from scratch.
        pretrained: (q, m) = (|beta_pre|, <beta_t, beta_pre>) as measured on each instance, instead of the source's.

    Returns:
        E|beta - beta_t|^2, all arguments broadcast. NaN or inf where the steps diverge. All lanes are stepped to the
        largest count; inside jit with traced `steps` differentiate forward, not in reverse.

    Valid as d -> inf for any step size: drift of balance included. Source: derived here.
    """
    lane = setting(
        protocol, overlap_angle, sample_ratio, noise_std, depth=depth, target_norm=target_norm, source_norm=source_norm,
        source_ratio=source_ratio, source_noise_std=source_noise_std, num_samples=num_samples, init_scale=init_scale,
        pretrained=pretrained,
    )  # fmt: skip
    step = check_step(protocol, learning_rate, momentum, batch_size, num_samples, replacement)
    _checks.check_range("steps", steps, 0, 2**31 - 1, remedy="Pass numbers of steps.")
    counts, total = _whole(steps)
    return record(protocol, lane, step, counts[..., None], total).risk[..., 0]


def check_step(
    protocol: str, learning_rate: Any, momentum: Any, batch_size: Any, num_samples: Any, replacement: bool
) -> Step | None:
    """Refuse impossible steps; None for gradient flow."""
    _checks.check_range("momentum", momentum, 0.0, 1.0 - 1e-9, remedy="Heavy-ball momentum is below 1.")
    heavy = not (isinstance(momentum, (int, float)) and momentum == 0)
    if learning_rate is None:
        _checks.require(not heavy, f"momentum = {momentum} needs steps: pass learning_rate.")
        _checks.require(batch_size is None, f"batch_size = {batch_size} needs steps: pass learning_rate.")
        return None
    _checks.check_positive("learning_rate", learning_rate)
    if batch_size is None:
        return Step(learning_rate, momentum, np.inf, replacement)
    chain = protocol != "linear_transfer"
    _checks.require(chain, f"batch_size = {batch_size} is for scratch and fine_tuning: train a frozen head in full.")
    _checks.require(not heavy, f"momentum = {momentum} has no form with mini-batches: leave out one of the two.")
    _checks.check_range("batch_size", batch_size, 1.0, remedy="A batch holds at least one sample.")
    batch, count = _checks.concrete(batch_size), _checks.concrete(num_samples)
    if count is not None:
        finite = bool(np.all(np.isfinite(count)))
        _checks.require(finite, "batch_size needs num_samples: its noise is d/B with d = num_samples/sample_ratio.")
        fits = batch is None or bool(np.all(batch <= count))
        _checks.require(fits, f"batch_size = {batch_size} is above num_samples = {num_samples}: pass at most n.")
    return Step(learning_rate, momentum, batch_size, replacement)


def step_counts(times: Any, learning_rate: Any) -> tuple[Array, int | Array]:
    """Numbers of steps at given times (on the last axis), and the largest of them: an integer where it is known."""
    known = _checks.concrete(times), _checks.concrete(learning_rate)
    if all(value is not None for value in known):
        return _whole(np.rint(known[0] / (known[1][..., None] if known[0].ndim else known[1])))
    times, rate = jnp.asarray(times), jnp.asarray(learning_rate)
    return _whole(jnp.rint(times / (rate[..., None] if times.ndim else rate)))


def _whole(steps: Any) -> tuple[Array, int | Array]:
    known = _checks.concrete(steps)
    if known is not None:
        return jnp.asarray(known.astype(np.int32)), int(np.max(known, initial=0))
    counts = jnp.asarray(steps).astype(jnp.int32)
    return counts, jnp.max(counts, initial=0)


def record(protocol: str, lane: Setting, step: Step, counts: Array, num_steps: int | Array) -> _descent.Record:
    """Step every lane, and read it after `counts` (last axis) steps."""
    *numbers, rate, momentum, batch = _arrays.common(*lane, step.learning_rate, step.momentum, step.batch_size)
    stochastic = step.batch_size is not np.inf
    options = (protocol, stochastic, step.replacement)

    def run(counts, *arrays):
        if isinstance(num_steps, int):
            return _compiled(counts, arrays, num_steps, *options)
        return _stepped(counts, arrays, num_steps, *options)

    return over_lanes(run, counts, *numbers, rate, momentum, batch)


def _stepped(counts, arrays, num_steps, protocol, stochastic, replacement) -> _descent.Record:
    def one(operands):
        counts, (*numbers, rate, momentum, batch) = operands
        lane = Setting(*numbers)
        if protocol == "linear_transfer":
            risk = _head.descent_risk(lane, rate, momentum, counts, num_steps)
            return _descent.Record(risk, jnp.ones_like(risk))
        measure, begin, moves = start(protocol, lane)
        norm = jnp.exp(begin.log_init)
        phi = jnp.where(begin.phi > 0, norm / begin.label_norm, 0.0)
        noise = 0.0 if not stochastic else lane.count / (lane.ratio * batch)
        if stochastic and not replacement:
            noise = noise * (lane.count - batch) / jnp.maximum(lane.count - 1, 1.0)
        rule = _descent.Rule(rate, momentum, noise)
        mass = marchenko_pastur(lane.ratio)[1]
        found = _descent.descend(measure, mass, lane.noise, lane.depth, norm, phi, rule, counts, num_steps, stochastic)
        risk = jnp.where(moves, found.risk, still(protocol, lane))
        return _descent.Record(risk, found.balance)

    lanes = counts.shape[0]
    if lanes <= _LANES:
        return jax.vmap(one)((counts, arrays))
    return jax.lax.map(one, (counts, arrays), batch_size=_LANES)


_compiled = partial(jax.jit, static_argnums=(2, 3, 4, 5))(_stepped)
