"""One nonlinear source/target pair: pretrain, then four ways to use n target samples, each with a status.

    prepare(setting, key, amount)            -> (prepared, PretrainReport)    once per source/target pair
    transfer(setting, key, prepared, index)  -> TransferReport                once per pair and sample size
    from_scratch(setting, key, index)        -> ScratchReport                 once per target sample

Every function is one lane; `tlx.ensemble` batches them. One key names an instance: its target, its data and its
starts are the same whatever the amount, so that a row of sources shares one target sample.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from tlx import _keys
from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear import probe, samples
from tlx.nonlinear.curvature import stable
from tlx.nonlinear.overlap import LearnedBasis, cutoff_overlap, learned_basis, ridge_overlap, sampled_moments
from tlx.nonlinear.setting import NonlinearSetting
from tlx.nonlinear.teachers import TeacherPair, teacher_pair
from tlx.train import TrainResult, train, train_online, usable


class Prepared(NamedTuple):
    """A pretrained network, its eigenfeatures, and the target they will meet."""

    weights: PyTree
    basis: LearnedBasis
    target: TwoLayer
    status: Int[Array, ""]


class PretrainReport(NamedTuple):
    """What pretraining made.

    Attributes:
        source_loss: E (f - f_s)^2 / E f_s^2.
        status, num_steps: of the run.
        out_of_space: E f_t^2 - |P f_t|^2 at the cut-off (the floor of linear transfer).
        out_of_span: the same at cut-off 1e-6, the numerical span: untrained features included.
        ridge_floor: risk of ridge transfer on infinite data.
        num_features: eigenfeatures above the cut-off.
        leverage: E[(f_t - P f_t)^2 |psi|^2] with psi the whitened kept features (its mean square is num_features):
            the variance of linear transfer is (leverage + noise_std^2 num_features)/n to leading order.
    """

    source_loss: Float[Array, ""]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]
    out_of_space: Float[Array, ""]
    out_of_span: Float[Array, ""]
    ridge_floor: Float[Array, ""]
    num_features: Int[Array, ""]
    leverage: Float[Array, ""]


class TransferReport(NamedTuple):
    """Excess population risks at one sample size; a failed lane has risk NaN and a status that says why."""

    linear_transfer_risk: Float[Array, ""]
    ridge_transfer_risk: Float[Array, ""]
    fine_tuning_risk: Float[Array, ""]
    lp_ft_risk: Float[Array, ""]
    fine_tuning_status: Int[Array, ""]
    lp_ft_status: Int[Array, ""]


class ScratchReport(NamedTuple):
    """Training from a fresh start on one target sample."""

    risk: Float[Array, ""]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]


def pair_of(setting: NonlinearSetting, key: Array, amount: float | Array) -> TeacherPair:
    """The instance's teachers."""
    return teacher_pair(_keys.named(key, "teachers"), setting.family, amount, **setting.teachers())


def pretrain(setting: NonlinearSetting, key: Array, source: TwoLayer) -> TrainResult:
    """Train a fresh network on the source: exact loss, finite sample, or fresh samples."""
    model = setting.model
    start = model.start(_keys.named(key, "pretraining start"))
    rule = model.scaled(setting.pretrain)
    if setting.pretraining == "population":
        return train(lambda w: mean_field.population_loss(w, source, setting.teacher_activation), start, rule)

    def draw(sample_key: Array, count: int) -> samples.Sample:
        return samples.draw(
            sample_key, _function(setting, source), setting.source_noise_std, dim=model.dim, num_samples=count
        )

    if setting.pretraining == "sample":
        data = draw(_keys.named(key, "source sample"), setting.source_samples)
        return train(lambda w: jnp.mean((model.apply(w, data.inputs) - data.labels) ** 2), start, rule)

    def fresh(weights: PyTree, step_key: Array) -> Array:
        data = draw(step_key, setting.batch_size)
        return jnp.mean((model.apply(weights, data.inputs) - data.labels) ** 2)

    return train_online(fresh, start, rule, _keys.named(key, "source stream"))


def prepare(setting: NonlinearSetting, key: Array, amount: float | Array) -> tuple[Prepared, PretrainReport]:
    """Pretrain on the source of this pair and look at what was learned.

    Args:
        setting: see `NonlinearSetting`.
        key: identifies the instance.
        amount: how far the source is from the target, see `teacher_pair`; may be traced.
    """
    source, target = pair_of(setting, key, amount)
    result = pretrain(setting, key, source)
    basis = basis_of(setting, key, result.params, target)
    captured, count = cutoff_overlap(basis, setting.cutoff)
    spanned, _ = cutoff_overlap(basis, 1e-6)
    ridged, _ = ridge_overlap(basis, setting.ridge)
    power = mean_field.inner_product(source, source, setting.teacher_activation)
    report = PretrainReport(
        source_loss=risk(setting, key, result.params, source) / power,
        status=result.status,
        num_steps=result.num_steps,
        out_of_space=basis.power * (1 - captured),
        out_of_span=basis.power * (1 - spanned),
        ridge_floor=basis.power * (1 - ridged),
        num_features=count,
        leverage=probe.leverage(
            _keys.named(key, "leverage"),
            lambda x: setting.model.features(result.params, x),
            _function(setting, target),
            basis,
            setting.cutoff,
            dim=setting.model.dim,
            num_samples=setting.num_test,
        ),
    )
    return Prepared(result.params, basis, target, result.status), report


def transfer(setting: NonlinearSetting, key: Array, prepared: Prepared, index: Int[Array, ""] | int) -> TransferReport:
    """Linear and ridge transfer, fine-tuning and LP-FT on the first sizes[index] rows of the instance's sample."""
    model, target = setting.model, prepared.target
    data = target_sample(setting, key, target)
    moments = samples.feature_moments(lambda x: model.features(prepared.weights, x), data, setting.sizes, index)
    linear = model.refit(prepared.weights, probe.projected(moments, prepared.basis, setting.cutoff))
    ridged = model.refit(prepared.weights, probe.ridged(moments, setting.ridge))
    loss = samples.squared_loss(model.apply, data, setting.sizes, index)
    rule = model.scaled(setting.fine_tune)
    tuned = train(loss, prepared.weights, stable(rule, loss, prepared.weights))
    probed_first = train(loss, linear, stable(rule, loss, linear))
    good = usable(prepared.status)

    def kept(weights: PyTree, ok: Array) -> Array:
        return jnp.where(good & ok, risk(setting, key, weights, target), jnp.nan)

    return TransferReport(
        linear_transfer_risk=kept(linear, jnp.asarray(True)),
        ridge_transfer_risk=kept(ridged, jnp.asarray(True)),
        fine_tuning_risk=kept(tuned.params, usable(tuned.status)),
        lp_ft_risk=kept(probed_first.params, usable(probed_first.status)),
        fine_tuning_status=tuned.status,
        lp_ft_status=probed_first.status,
    )


def from_scratch(
    setting: NonlinearSetting, key: Array, index: Int[Array, ""] | int, target: TwoLayer | None = None
) -> ScratchReport:
    """Train a fresh network on the first sizes[index] rows of a sample of the target (default: the instance's own)."""
    model = setting.model
    target = pair_of(setting, key, 0.0).target if target is None else target
    data = target_sample(setting, key, target)
    start = model.start(_keys.named(key, "scratch start"))
    result = train(samples.squared_loss(model.apply, data, setting.sizes, index), start, model.scaled(setting.scratch))
    value = jnp.where(usable(result.status), risk(setting, key, result.params, target), jnp.nan)
    return ScratchReport(value, result.status, result.num_steps)


def target_sample(setting: NonlinearSetting, key: Array, target: TwoLayer) -> samples.Sample:
    """The instance's target sample, as large as the largest size."""
    return samples.draw(
        _keys.named(key, "target sample"),
        _function(setting, target),
        setting.noise_std,
        dim=setting.model.dim,
        num_samples=max(setting.sizes),
    )


def risk(setting: NonlinearSetting, key: Array, weights: PyTree, target: TwoLayer) -> Float[Array, ""]:
    """E (f - f_target)^2: exact where there is a closed form, else over num_test rows of the instance."""
    if setting.exact:
        return mean_field.population_loss(weights, target, setting.teacher_activation)
    inputs = jax.random.normal(_keys.named(key, "test"), (setting.num_test, setting.model.dim))
    return jnp.mean((setting.model.apply(weights, inputs) - _function(setting, target)(inputs)) ** 2)


def basis_of(setting: NonlinearSetting, key: Array, weights: PyTree, target: TwoLayer) -> LearnedBasis:
    """Eigenfeatures of a network and the target's components in them, exact or from num_test samples."""
    if setting.exact:
        return learned_basis(setting.model.moments(weights, target))
    blocks = sampled_moments(
        _keys.named(key, "moments"),
        lambda x: setting.model.features(weights, x),
        _function(setting, target),
        dim=setting.model.dim,
        num_samples=setting.num_test,
    )
    return learned_basis(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), blocks))


def _function(setting: NonlinearSetting, network: TwoLayer):
    return lambda inputs: mean_field.apply(network, inputs, setting.teacher_activation)
