"""Engine `flow`: where gradient flow from small starts ends, with no steps: one scalar root per pair."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import flow, spectral, tasks
from tlx.engines import _samples
from tlx.engines._samples import Samples
from tlx.protocols import LinearSetting, ScratchReport, TransferReport, stable_learning_rate
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

    def run(weight_decay):
        predictor = basis @ flow.decayed_endpoint(modes, setting.depth, weight_decay)
        return tasks.risk(predictor, samples.target, samples.spectrum)

    risk = jax.lax.map(run, jnp.asarray(setting.weight_decays, modes.cross.dtype))
    done = jnp.full(risk.shape, Status.CONVERGED, jnp.int32)
    stable = stable_learning_rate(setting, samples.moments, modes.eigenvalues[-1])
    forgetful = flow.decayed_endpoint(modes, setting.depth, setting.fine_tune.weight_decay)
    return Prepared(samples, forgetful), ScratchReport(risk, done, jnp.zeros_like(done), stable)


def pretrain(setting: LinearSetting, samples: Samples, task: Float[Array, " d"]) -> Float[Array, " d"]:
    """The source network's predictor in coordinates: the source itself, or the fit of its sample."""
    modes, basis = _samples.source_modes(samples, task)
    learned = flow.decayed_endpoint(modes, setting.depth, setting.pretrain.weight_decay)
    return learned if basis is None else basis @ learned


def transfer(setting: LinearSetting, prepared: Prepared, overlap_angle: Float[Array, ""]) -> TransferReport:
    """The pretrained predictor at this angle, its linear probe, and the end of its fine-tuning."""
    samples, depth = prepared.samples, setting.depth
    pair = _samples.pair(setting, samples, overlap_angle)
    learned = pretrain(setting, samples, pair.source)
    probe = _samples.probe(setting, samples, spectral.balanced(learned, depth))
    basis, modes = samples.decomposition
    kept = flow.endpoint(modes, basis.T @ learned, depth)
    tuned = basis @ jnp.where(jnp.asarray(setting.fine_tune.weight_decay) > 0, prepared.forgetful, kept)

    def risk(predictor, task):
        return tasks.risk(predictor, task, pair.spectrum)

    done, steps = jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32)
    return TransferReport(
        jax.lax.map(lambda p: risk(p, pair.target), probe.predictors),
        risk(tuned, pair.target),
        risk(learned, pair.source),
        probe.num_features,
        done,
        done,
        steps,
        steps,
    )
