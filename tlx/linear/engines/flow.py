"""Engine `flow`: where gradient flow from small starts ends, with no steps: one scalar root per pair.

At given times (`LinearSetting.times`) it also gives the risk along the flow, by solving the chain's equations.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx.linear import chain as spectral
from tlx.linear import flow_end as flow
from tlx.linear import task as tasks
from tlx.linear.chain import Chain
from tlx.linear.engines import samples as _samples
from tlx.linear.engines.samples import Samples
from tlx.linear.flow_path import path
from tlx.linear.reports import ScratchReport, TransferReport
from tlx.linear.setting import LinearSetting
from tlx.linear.steps import stable_learning_rate
from tlx.train import Status


class Prepared(NamedTuple):
    """One target data set: what all angles share. `forgetful` is the end of fine-tuning if it has weight decay."""

    samples: Samples
    forgetful: Float[Array, " d"]


def check(setting: LinearSetting) -> None:
    """Refuse, before any compute, rules without this flow and starts away from the limit."""
    for rule in (setting.pretrain, setting.scratch, setting.fine_tune):
        spectral.check_rule(rule)
    if setting.depth > 1:
        spectral.check_start(setting.init_scale, setting.depth)


def prepare(setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int) -> tuple[Prepared, ScratchReport]:
    """Draw and decompose the target sample; the end of training from scratch at each weight decay."""
    check(setting)
    samples = _samples.draw(setting, key, num_samples)
    basis, modes = samples.decomposition

    def risk(predictor):
        return tasks.risk(basis @ predictor, samples.target, samples.spectrum)

    def run(weight_decay):
        curve = jnp.zeros(0, modes.cross.dtype)
        if setting.times:
            begin = spectral.turned(_samples.scratch_start(setting, samples), basis.T)
            curve = path(modes, begin, setting.depth, jnp.asarray(setting.times), risk, weight_decay=weight_decay)
        return risk(flow.decayed_endpoint(modes, setting.depth, weight_decay)), curve

    ends, curves = jax.lax.map(run, jnp.asarray(setting.weight_decays, modes.cross.dtype))
    done = jnp.full(ends.shape, Status.CONVERGED, jnp.int32)
    stable = stable_learning_rate(setting, samples.moments, modes.eigenvalues[-1])
    forgetful = flow.decayed_endpoint(modes, setting.depth, setting.fine_tune.weight_decay)
    return Prepared(samples, forgetful), ScratchReport(ends, done, jnp.zeros_like(done), stable, curves)


def pretrain(setting: LinearSetting, samples: Samples, task: Float[Array, " d"]) -> Float[Array, " d"]:
    """The source network's predictor in coordinates: the source itself, or the fit of its sample."""
    modes, basis = _samples.source_modes(samples, task)
    learned = flow.decayed_endpoint(modes, setting.depth, setting.pretrain.weight_decay)
    return learned if basis is None else basis @ learned


def transfer(setting: LinearSetting, prepared: Prepared, overlap_angle: Float[Array, ""]) -> TransferReport:
    """The pretrained predictor at this angle, its linear probe, and the end of its fine-tuning."""
    samples, depth = prepared.samples, setting.depth
    decay = jnp.asarray(setting.fine_tune.weight_decay)
    pair = _samples.pair(setting, samples, overlap_angle)
    learned = pretrain(setting, samples, pair.source)
    chain = spectral.balanced(learned, depth)
    probe = _samples.probe(setting, samples, chain)
    basis, modes = samples.decomposition
    kept = flow.endpoint(modes, basis.T @ learned, depth)
    tuned = basis @ jnp.where(decay > 0, prepared.forgetful, kept)

    def risk(predictor, task):
        return tasks.risk(predictor, task, pair.spectrum)

    def on_target(predictor):
        return risk(predictor, pair.target)

    head = tuning = jnp.zeros(0, modes.cross.dtype)
    if setting.times:
        times, begin = jnp.asarray(setting.times), spectral.turned(chain, basis.T)
        head = _head_over_time(setting, samples, chain, on_target)
        tuning = path(modes, begin, depth, times, lambda beta: on_target(basis @ beta), weight_decay=decay)
    done, steps = jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32)
    return TransferReport(
        jax.lax.map(on_target, probe.predictors),
        on_target(tuned),
        risk(learned, pair.source),
        probe.num_features,
        done,
        done,
        steps,
        steps,
        head,
        tuning,
    )


def _head_over_time(setting: LinearSetting, samples: Samples, chain: Chain, risk: Callable) -> Float[Array, " t"]:
    """Risk while the last layer alone is trained from zero on the chain's feature: a network of depth 1."""
    modes, outward = _samples.head(setting, samples, chain)
    zero = Chain(jnp.zeros_like(modes.cross), jnp.zeros_like(modes.label_power))
    decay = 2 * jnp.asarray(setting.ridges, modes.cross.dtype)[0]
    return path(modes, zero, 1, jnp.asarray(setting.times), lambda w: risk(outward(w)), weight_decay=decay)
