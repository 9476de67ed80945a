"""Engine `spectral`: the gradient descent of engine `full` in the limit of small starts, in the data's eigenbasis.

The same draws, steps, statuses and stopping rule, at O(d) a step; see `tlx.linear.chain`. A two-layer random start is
represented by the part of it that leaves the saddle, computed from the very weights that engine `full` would draw,
so that runs from scratch agree step by step too; at depth >= 3 time counts from where the saddle has been left.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import _keys
from tlx.linear import chain as spectral
from tlx.linear import flow_end as flow
from tlx.linear import task as tasks
from tlx.linear.chain import Chain, Modes
from tlx.linear.engines import samples as _samples
from tlx.linear.engines.samples import Samples
from tlx.linear.reports import ScratchReport, TransferReport, over_time
from tlx.linear.setting import LinearSetting
from tlx.linear.steps import head_rule, record_steps, stable_learning_rate
from tlx.networks import deep_linear
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


def fit(
    modes: Modes,
    basis: Array | None,
    chain: Chain,
    setting: LinearSetting,
    rule: Optimizer,
    risk: Callable[[Array], Array] | None = None,
) -> TrainResult:
    """Train a chain given in coordinates on modes in some basis; the result is in coordinates again.

    The `risk` of the predictor (in coordinates) is recorded at the times of the setting.
    """

    def outward(chain):
        return chain if basis is None else spectral.turned(chain, basis)

    def observe(chain):
        return risk(spectral.predictor(outward(chain), setting.depth))

    record = {} if risk is None else {"observe": observe, "record_at": record_steps(setting.times, rule)}
    begin = chain if basis is None else spectral.turned(chain, basis.T)
    result = spectral.descend(modes, begin, setting.depth, rule, **record)
    return result._replace(params=outward(result.params))


def prepare(setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int) -> tuple[Prepared, ScratchReport]:
    """Draw and decompose the target sample of `num_samples` rows; train from scratch once per weight decay."""
    check(setting)
    samples = _samples.draw(setting, key, num_samples)
    basis, modes = samples.decomposition
    begin = _samples.scratch_start(setting, samples)

    def risk(predictor):
        return tasks.risk(predictor, samples.target, samples.spectrum)

    def run(weight_decay):
        rule = dataclasses.replace(setting.scratch, weight_decay=weight_decay)
        result = fit(modes, basis, begin, setting, rule, risk)
        end = risk(spectral.predictor(result.params, setting.depth))
        return jnp.where(usable(result.status), end, jnp.nan), result.status, result.num_steps, over_time(result)

    *ends, curves = jax.lax.map(run, jnp.asarray(setting.weight_decays, modes.cross.dtype))
    stable = stable_learning_rate(setting, samples.moments, modes.eigenvalues[-1])
    source_key = _keys.named(_keys.named(key, "source"), "start")
    weights = _samples.untrained(setting, source_key) if setting.pretraining == "gradient_descent" else None
    return Prepared(samples, weights), ScratchReport(*ends, stable, curves)


def pretrain(setting: LinearSetting, prepared: Prepared, task: Float[Array, " d"]) -> TrainResult:
    """The source network as a chain in coordinates: trained on the source loss, or placed at its limit."""
    modes, basis = _samples.source_modes(prepared.samples, task)
    if setting.pretraining == "gradient_descent":
        cross = modes.cross if basis is None else basis @ modes.cross
        begin = _samples.start(setting, prepared.weights, cross)
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

    def risk(predictor, task):
        return tasks.risk(predictor, task, pair.spectrum)

    def on_target(predictor):
        return risk(predictor, pair.target)

    tuned = fit(modes, basis, source.params, setting, setting.fine_tune, on_target)
    ready = usable(source.status)
    status = jnp.where(ready, tuned.status, source.status)
    return TransferReport(
        jnp.where(ready, jax.lax.map(on_target, probe.predictors), jnp.nan),
        jnp.where(usable(status), on_target(spectral.predictor(tuned.params, depth)), jnp.nan),
        jnp.where(ready, risk(spectral.predictor(source.params, depth), pair.source), jnp.nan),
        probe.num_features,
        source.status,
        status,
        tuned.num_steps,
        source.num_steps,
        jnp.where(ready, _head_over_time(setting, samples, source.params, on_target), jnp.nan),
        jnp.where(ready, over_time(tuned), jnp.nan),
    )


def _head_over_time(setting: LinearSetting, samples: Samples, chain: Chain, risk: Callable) -> Float[Array, " t"]:
    """Risk while the last layer alone is trained from zero on the chain's feature: a network of depth 1."""
    rule, (modes, outward) = head_rule(setting), _samples.head(setting, samples, chain)
    if not setting.times:  # nothing to look at: nothing to train
        return jnp.zeros(0, modes.cross.dtype)
    zero = Chain(jnp.zeros_like(modes.cross), jnp.zeros_like(modes.label_power))
    steps = record_steps(setting.times, rule)
    return over_time(spectral.descend(modes, zero, 1, rule, observe=lambda c: risk(outward(c.first)), record_at=steps))
