"""Engine `full`: every weight of every network is trained, by any optimizer, from any start."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import _keys
from tlx.linear import data
from tlx.linear import task as tasks
from tlx.linear.data import Moments
from tlx.linear.probe import linear_transfer
from tlx.linear.reports import ScratchReport, TransferReport, over_time
from tlx.linear.setting import LinearSetting
from tlx.linear.steps import head_rule, record_steps, stable_learning_rate
from tlx.networks import deep_linear
from tlx.train import Optimizer, Status, TrainResult, train, usable


class Prepared(NamedTuple):
    """One target data set: what all angles share."""

    key: Array
    spectrum: Float[Array, " d"]
    moments: Moments


def fit(weights: deep_linear.Weights, sample: Moments, optimizer: Optimizer, **record: Any) -> TrainResult:
    """Train all layers of a deep linear network on a squared loss; `record` as in `tlx.train.train`."""
    return train(lambda w: data.squared_loss(deep_linear.predictor(w), sample), weights, optimizer, **record)


def start(setting: LinearSetting, key: Array) -> deep_linear.Weights:
    """The untrained network."""
    make = deep_linear.random_start if setting.start == "random" else deep_linear.balanced_start
    return make(
        key,
        dim=setting.dim,
        width=setting.hidden_width,
        depth=setting.depth,
        init_scale=jnp.asarray(setting.init_scale),
    )


def prepare(setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int) -> tuple[Prepared, ScratchReport]:
    """Draw the target sample of `num_samples` rows and train from scratch on it, once per weight decay."""
    spectrum = tasks.power_law_spectrum(setting.dim, setting.covariance_exponent)
    target = tasks.linear_pair(key, 0.0, spectrum, target_norm=setting.target_norm).target
    own = _keys.lane(_keys.named(key, "data set"), num_samples)
    moments = data.sample_moments(_keys.named(own, "target data"), target, spectrum, setting.noise_std, num_samples)
    weights = start(setting, _keys.named(own, "scratch start"))

    def risk(weights):
        return tasks.risk(deep_linear.predictor(weights), target, spectrum)

    def run(weight_decay):
        rule = dataclasses.replace(setting.scratch, weight_decay=weight_decay)
        result = fit(weights, moments, rule, observe=risk, record_at=record_steps(setting.times, rule))
        end = jnp.where(usable(result.status), risk(result.params), jnp.nan)
        return end, result.status, result.num_steps, over_time(result)

    *ends, curves = jax.lax.map(run, jnp.asarray(setting.weight_decays, moments.cross.dtype))
    return Prepared(key, spectrum, moments), ScratchReport(*ends, stable_learning_rate(setting, moments), curves)


def pretrain(setting: LinearSetting, prepared: Prepared, pair: tasks.LinearPair) -> TrainResult:
    """The source network: trained on the population loss or on a source sample, or placed at the limit."""
    key = _keys.named(prepared.key, "source")
    if setting.source_samples is None:
        sample = data.population_moments(pair.source, pair.spectrum)
    else:
        sample = data.sample_moments(
            _keys.named(key, "data"), pair.source, pair.spectrum, setting.source_noise_std, setting.source_samples
        )
    if setting.pretraining == "gradient_descent":
        return fit(start(setting, _keys.named(key, "start")), sample, setting.pretrain)
    width, depth = setting.hidden_width, setting.depth
    learned = pair.source if setting.source_samples is None else minimum_norm(sample)
    weights = deep_linear.balanced(_keys.named(key, "start"), learned, width=width, depth=depth)
    zero = jnp.zeros((), learned.dtype)
    loss = data.squared_loss(learned, sample)
    return TrainResult(weights, jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32), loss, zero, None)


def minimum_norm(sample: Moments) -> Float[Array, " d"]:
    """The minimum-norm interpolator X^+ y: where training from alpha -> 0 ends (Theorem 3.5)."""
    identity = jnp.eye(sample.cross.shape[0], dtype=sample.cross.dtype)
    return linear_transfer(identity, sample, (0.0,), 0.0).predictors[0]


def transfer(setting: LinearSetting, prepared: Prepared, overlap_angle: Float[Array, ""]) -> TransferReport:
    """Pretrain on the source at this angle, then probe and fine-tune on the prepared target sample."""
    norms = {"target_norm": setting.target_norm, "source_norm": setting.source_norm}
    pair = tasks.linear_pair(prepared.key, overlap_angle, prepared.spectrum, **norms)
    source = pretrain(setting, prepared, pair)
    probe = linear_transfer(
        deep_linear.features(source.params), prepared.moments, setting.ridges, setting.feature_cutoff
    )

    def risk(predictor, task):
        return tasks.risk(predictor, task, pair.spectrum)

    def on_target(weights):
        return risk(deep_linear.predictor(weights), pair.target)

    steps = record_steps(setting.times, setting.fine_tune)
    tuned = fit(source.params, prepared.moments, setting.fine_tune, observe=on_target, record_at=steps)
    ready = usable(source.status)
    status = jnp.where(ready, tuned.status, source.status)
    return TransferReport(
        jnp.where(ready, jax.lax.map(lambda p: risk(p, pair.target), probe.predictors), jnp.nan),
        jnp.where(usable(status), on_target(tuned.params), jnp.nan),
        jnp.where(ready, risk(deep_linear.predictor(source.params), pair.source), jnp.nan),
        probe.num_features,
        source.status,
        status,
        tuned.num_steps,
        source.num_steps,
        jnp.where(ready, _head_over_time(setting, source.params, prepared.moments, on_target), jnp.nan),
        jnp.where(ready, over_time(tuned), jnp.nan),
    )


def _head_over_time(
    setting: LinearSetting, weights: deep_linear.Weights, sample: Moments, risk: Callable
) -> Float[Array, " t"]:
    """Risk while the last layer alone is trained from zero on the features below it."""
    rule, features = head_rule(setting), deep_linear.features(weights)

    def loss(head):
        return data.squared_loss(features @ head, sample)

    if not setting.times:  # nothing to look at: nothing to train
        return jnp.zeros(0, features.dtype)
    start, steps = jnp.zeros_like(features[0]), record_steps(setting.times, rule)
    return over_time(train(loss, start, rule, observe=lambda head: risk((features @ head,)), record_at=steps))
