"""Engine `full`: every weight of every network is trained, by any optimizer, from any start."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx import _keys
from tlx._checks import require
from tlx.glossary import Protocol
from tlx.linear import batches, data, penalties
from tlx.linear.chain import anchored
from tlx.linear.data import Moments
from tlx.linear.engines import partial
from tlx.linear.engines.base import Engine, Prepared, Risk, Trained
from tlx.linear.probe import LinearProbe, linear_transfer
from tlx.linear.reports import over_time
from tlx.linear.setting import LinearSetting
from tlx.linear.steps import head_rule, record_steps
from tlx.linear.task import LinearPair
from tlx.networks import deep_linear
from tlx.train import Optimizer, Status, TrainResult, train

descend = functools.partial(train, unroll=2)  # a step moves little but weights


def fit(weights: deep_linear.Weights, sample: Moments, optimizer: Optimizer, **record: Any) -> TrainResult:
    """Train all layers of a deep linear network on a squared loss; `record` as in `tlx.train.train`."""
    return descend(lambda w: data.squared_loss(deep_linear.predictor(w), sample), weights, optimizer, **record)


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


def minimum_norm(sample: Moments) -> Float[Array, " d"]:
    """The minimum-norm interpolator X^+ y: where training from alpha -> 0 ends (Theorem 3.5)."""
    identity = jnp.eye(sample.cross.shape[0], dtype=sample.cross.dtype)
    return linear_transfer(identity, sample, (0.0,), 0.0).predictors[0]


class Full(Engine):
    """All weights of every network, trained by `tlx.train.train`."""

    name = "full"

    def keep(self, setting: LinearSetting, prepared: Prepared) -> None:
        """Nothing: the moments of the sample are all that training needs."""

    def scratch(self, setting: LinearSetting, prepared: Prepared, weight_decay: Array, risk: Risk) -> Trained:
        """From the untrained network that belongs to this data set."""
        rule = dataclasses.replace(setting.scratch, weight_decay=weight_decay)
        weights = start(setting, _keys.named(prepared.own, "scratch start"))
        return self._on_target(setting, prepared, weights, rule, risk, "scratch batches")

    def pretrain(
        self,
        setting: LinearSetting,
        prepared: Prepared,
        pair: LinearPair,
        *,
        observe: Callable[[PyTree], PyTree] | None = None,
        record_at: tuple[int, ...] = (),
    ) -> Trained:
        """Trained on the population loss or on a source sample, or placed at the limit; `observe` sees the weights."""
        key = _keys.named(prepared.key, "source")
        if setting.source_samples is None:
            sample = data.population_moments(pair.source, pair.spectrum)
        else:
            sample = data.sample_moments(
                _keys.named(key, "data"), pair.source, pair.spectrum, setting.source_noise_std, setting.source_samples
            )
        own = _keys.named(key, "start")
        if setting.pretraining == "gradient_descent":
            weights = start(setting, own)
            return _trained(fit(weights, sample, setting.pretrain, observe=observe, record_at=record_at))
        require(observe is None, "pretraining = 'limit' takes no steps to watch; use 'gradient_descent'.")
        learned = pair.source if setting.source_samples is None else minimum_norm(sample)
        weights = deep_linear.balanced(own, learned, width=setting.hidden_width, depth=setting.depth)
        done, none = jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32)
        return Trained(weights, deep_linear.predictor(weights), done, none, None)

    def probe(self, setting: LinearSetting, prepared: Prepared, source: Trained) -> LinearProbe:
        """On the features below the last layer."""
        features = deep_linear.features(source.network)
        return linear_transfer(features, prepared.moments, setting.ridges, setting.feature_cutoff)

    def fine_tune(self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk) -> Trained:
        """From the pretrained weights: all layers, some, or updates of low rank."""
        begin, whole = partial.trainable(setting, source.network, _keys.named(prepared.key, "low-rank start"))
        return self._on_target(setting, prepared, begin, setting.fine_tune, risk, "fine-tuning batches", whole)

    def _on_target(
        self,
        setting: LinearSetting,
        prepared: Prepared,
        begin: PyTree,
        rule: Optimizer,
        risk: Risk,
        stream: str,
        whole: Callable[[PyTree], deep_linear.Weights] = lambda weights: weights,
    ) -> Trained:
        """Train from `begin` on the target sample or its mini-batches; `whole` makes a network of what is trained."""
        sample, key = prepared.moments, _keys.named(prepared.own, stream)

        def predictor(trained):
            return deep_linear.predictor(whole(trained))

        def batch(trained, step):
            return batches.loss(key, setting, prepared.rows, sample.num_samples, predictor(trained), step)

        result = descend(
            lambda trained: data.squared_loss(predictor(trained), sample),
            begin,
            rule,
            observe=lambda trained: risk(predictor(trained)),
            record_at=record_steps(setting.times, rule),
            step_loss=None if setting.batch_size is None else batch,
        )
        return _trained(result._replace(params=whole(result.params)))

    def penalise(
        self, protocol: str, setting: LinearSetting, prepared: Prepared, source: Trained, penalty: Array
    ) -> Trained:
        """All weights trained with the penalty, by the rule of fine-tuning; the ridge is solved for."""
        sample, start = prepared.moments, source.network
        if protocol == Protocol.SOURCE_RIDGE:
            return source._replace(network=None, predictor=_source_ridge(sample, source.predictor, penalty), curve=None)
        if protocol == Protocol.L2SP:
            return _trained(fit(start, penalties.pulled_moments(sample, source.predictor, penalty), setting.fine_tune))

        def loss(weights):
            return data.squared_loss(deep_linear.predictor(weights), sample) + anchored(weights, start, penalty)

        return _trained(descend(loss, start, setting.fine_tune))

    def head_over_time(
        self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk
    ) -> Float[Array, " t"]:
        """The last layer alone, trained as in fine-tuning on the features below it."""
        rule, features = head_rule(setting), deep_linear.features(source.network)

        def loss(head):
            return data.squared_loss(features @ head, prepared.moments)

        if not setting.times:  # nothing to look at: nothing to train
            return jnp.zeros(0, features.dtype)
        zero, steps = jnp.zeros_like(features[0]), record_steps(setting.times, rule)
        return over_time(train(loss, zero, rule, observe=lambda head: risk(features @ head), record_at=steps))


def _trained(result: TrainResult) -> Trained:
    predictor = deep_linear.predictor(result.params)
    return Trained(result.params, predictor, result.status, result.num_steps, result.curve)


def _source_ridge(sample: Moments, centre: Array, ridge: Array) -> Float[Array, " d"]:
    """argmin of loss + ridge * |beta - (beta.p) p|^2 with p = centre / |centre|, by a dense solve."""
    unit = centre / jnp.linalg.norm(centre)
    spared = jnp.eye(unit.shape[0], dtype=unit.dtype) - jnp.outer(unit, unit)
    return jnp.linalg.solve(sample.covariance + ridge * spared, sample.cross)
