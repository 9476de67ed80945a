"""Engine `spectral`: the gradient descent of engine `full` in the limit of small starts, in the data's eigenbasis.

The same draws, steps, statuses and stopping rule, at O(d) a step; see `tlx.spectral`. A two-layer random start is
represented by the part of it that leaves the saddle, computed from the very weights that engine `full` would draw,
so that runs from scratch agree step by step too; at depth >= 3 time counts from where the saddle has been left.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import _keys, flow, spectral, tasks
from tlx.engines import _samples
from tlx.engines._samples import Samples
from tlx.networks import deep_linear
from tlx.protocols import LinearSetting, ScratchReport, TransferReport, stable_learning_rate
from tlx.spectral import Chain, Modes
from tlx.train import Optimizer, Status, TrainResult, usable


class Prepared(NamedTuple):
    """One target data set: what all angles share. `weights` is the source network's start where it is needed."""

    samples: Samples
    weights: deep_linear.Weights | None


def check(setting: LinearSetting) -> None:
    """Refuse, before any compute, what does not keep a rank-one chain."""
    for rule in (setting.pretrain, setting.scratch, setting.fine_tune):
        spectral.check_rule(rule)
    if setting.start == "random" and setting.depth > 1:
        spectral.check_start(setting.init_scale, setting.depth)


def untrained(setting: LinearSetting, key: Array) -> deep_linear.Weights | None:
    """The weights that decide the chain's start; None where only the data does (depth >= 3, random)."""
    shape = {"dim": setting.dim, "depth": setting.depth, "init_scale": jnp.asarray(setting.init_scale)}
    if setting.start == "balanced":
        return deep_linear.balanced_start(key, width=1, **shape)  # the predictor does not depend on the width
    return deep_linear.random_start(key, width=setting.hidden_width, **shape) if setting.depth <= 2 else None


def start(setting: LinearSetting, weights: deep_linear.Weights | None, cross: Float[Array, " d"]) -> Chain:
    """The chain of an untrained network, in coordinates; `cross` is b of the data it is about to see."""
    if weights is None:
        return spectral.plateau_start(cross, setting.depth, setting.init_scale)
    if setting.start == "balanced" or setting.depth == 1:
        return spectral.reduced(weights)
    return spectral.growing_mode(weights, cross)


def fit(modes: Modes, basis: Array | None, chain: Chain, setting: LinearSetting, rule: Optimizer) -> TrainResult:
    """Train a chain given in coordinates on modes in some basis; the result is in coordinates again."""
    if basis is None:
        return spectral.descend(modes, chain, setting.depth, rule)
    result = spectral.descend(modes, spectral.turned(chain, basis.T), setting.depth, rule)
    return result._replace(params=spectral.turned(result.params, basis))


def prepare(setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int) -> tuple[Prepared, ScratchReport]:
    """Draw and decompose the target sample of `num_samples` rows; train from scratch once per weight decay."""
    check(setting)
    samples = _samples.draw(setting, key, num_samples)
    basis, modes = samples.decomposition
    begin = start(setting, untrained(setting, _keys.named(samples.own, "scratch start")), samples.moments.cross)

    def run(weight_decay):
        rule = dataclasses.replace(setting.scratch, weight_decay=weight_decay)
        result = fit(modes, basis, begin, setting, rule)
        risk = tasks.risk(spectral.predictor(result.params, setting.depth), samples.target, samples.spectrum)
        return jnp.where(usable(result.status), risk, jnp.nan), result.status, result.num_steps

    outcomes = jax.lax.map(run, jnp.asarray(setting.weight_decays, modes.cross.dtype))
    stable = stable_learning_rate(setting, samples.moments, modes.eigenvalues[-1])
    source_key = _keys.named(_keys.named(key, "source"), "start")
    weights = untrained(setting, source_key) if setting.pretraining == "gradient_descent" else None
    return Prepared(samples, weights), ScratchReport(*outcomes, stable)


def pretrain(setting: LinearSetting, prepared: Prepared, task: Float[Array, " d"]) -> TrainResult:
    """The source network as a chain in coordinates: trained on the source loss, or placed at its limit."""
    modes, basis = _samples.source_modes(prepared.samples, task)
    if setting.pretraining == "gradient_descent":
        cross = modes.cross if basis is None else basis @ modes.cross
        begin = start(setting, prepared.weights, cross)
        return fit(modes, basis, begin, setting, setting.pretrain)
    learned = task if basis is None else basis @ flow.minimum_norm(modes)
    zero = jnp.zeros((), learned.dtype)
    status, steps = jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32)
    return TrainResult(spectral.balanced(learned, setting.depth), status, steps, zero, zero, None)


def transfer(setting: LinearSetting, prepared: Prepared, overlap_angle: Float[Array, ""]) -> TransferReport:
    """Pretrain on the source at this angle, then probe and fine-tune on the prepared target sample."""
    samples, depth = prepared.samples, setting.depth
    pair = _samples.pair(setting, samples, overlap_angle)
    source = pretrain(setting, prepared, pair.source)
    probe = _samples.probe(setting, samples, source.params)
    basis, modes = samples.decomposition
    tuned = fit(modes, basis, source.params, setting, setting.fine_tune)

    def risk(predictor, task):
        return tasks.risk(predictor, task, pair.spectrum)

    ready = usable(source.status)
    status = jnp.where(ready, tuned.status, source.status)
    return TransferReport(
        jnp.where(ready, jax.lax.map(lambda p: risk(p, pair.target), probe.predictors), jnp.nan),
        jnp.where(usable(status), risk(spectral.predictor(tuned.params, depth), pair.target), jnp.nan),
        jnp.where(ready, risk(spectral.predictor(source.params, depth), pair.source), jnp.nan),
        probe.num_features,
        source.status,
        status,
        tuned.num_steps,
        source.num_steps,
    )
