"""One nonlinear source/target pair: pretrain, then four ways to use n target samples, each with a status.

    prepare(setting, key, amount)            -> (prepared, PretrainReport)    once per source/target pair
    transfer(setting, key, prepared, index)  -> TransferReport                once per pair and sample size
    from_scratch(setting, key, index)        -> ScratchReport                 once per target sample

Every function is one lane; `tlx.ensemble` batches them. One key names an instance: its target, its data and its
starts are the same whatever the amount, so that a row of sources shares one target sample.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from tlx import _keys
from tlx._checks import require
from tlx.networks import mean_field
from tlx.nonlinear import data, probe
from tlx.nonlinear.fit import fit
from tlx.nonlinear.overlap import LearnedBasis, cutoff_overlap, learned_basis, ridge_overlap, sampled_moments
from tlx.nonlinear.reports import PretrainReport, ScratchReport, TransferReport
from tlx.nonlinear.setting import NonlinearSetting
from tlx.nonlinear.task import TeacherTask
from tlx.train import TrainResult, train, train_online, usable


class Prepared(NamedTuple):
    """A pretrained network, its eigenfeatures, and the parameters of the target they will meet."""

    weights: PyTree
    basis: LearnedBasis
    target: PyTree
    status: Int[Array, ""]


def pair_of(setting: NonlinearSetting, key: Array, amount: float | Array) -> Any:
    """The parameters of the instance's source and target: its teachers, unless the task is one's own."""
    return setting.problem.pair(_keys.named(key, "teachers"), amount)


def pretrain(
    setting: NonlinearSetting,
    key: Array,
    source: PyTree,
    *,
    observe: Callable[[PyTree], PyTree] | None = None,
    record_at: tuple[int, ...] = (),
) -> TrainResult:
    """Train a fresh network on the source, given by its parameters: exact loss, finite sample, or fresh samples.

    `observe` and `record_at` are those of `train`; training on fresh samples is not watched.
    """
    model: Any = setting.model
    watch: Any = {"observe": observe, "record_at": record_at}
    start = model.start(_keys.named(key, "pretraining start"))
    rule = model.scaled(setting.pretrain)
    if setting.pretraining == "population":
        return train(lambda w: model.population_loss(w, source), start, rule, **watch)

    def draw(sample_key: Array, count: int) -> data.Sample:
        return _draw(setting, sample_key, source, setting.source_noise_std, count)

    if setting.pretraining == "sample":
        rows = draw(_keys.named(key, "source sample"), setting.source_samples)
        return fit(model, start, rows, rule, **watch)

    require(observe is None, "pretraining = 'online' is not watched; use pretraining = 'sample' or 'population'.")

    def fresh(weights: PyTree, step_key: Array) -> Array:
        rows = draw(step_key, setting.batch_size)
        return jnp.mean((model.apply(weights, rows.inputs) - rows.labels) ** 2)

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
    report = PretrainReport(
        source_loss=risk(setting, key, result.params, source) / _power(setting, key, source),
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
            setting.problem.inputs,
            basis,
            setting.cutoff,
            num_samples=setting.num_test,
        ),
    )
    return Prepared(result.params, basis, target, result.status), report


def transfer(setting: NonlinearSetting, key: Array, prepared: Prepared, index: Int[Array, ""] | int) -> TransferReport:
    """Linear and ridge transfer, fine-tuning and LP-FT on the first sizes[index] rows of the instance's sample."""
    model, target = setting.model, prepared.target
    rows = target_sample(setting, key, target)

    def moments_of(own: data.Sample) -> data.SampleMoments:
        return data.feature_moments(lambda x: model.features(prepared.weights, x), own)

    moments = data.at_size(moments_of, rows, setting.sizes, index)
    linear = model.refit(prepared.weights, probe.projected(moments, prepared.basis, setting.cutoff))
    ridged = model.refit(prepared.weights, probe.ridged(moments, setting.ridge))
    rule = model.scaled(setting.fine_tune)
    starts = jax.tree.map(lambda *leaves: jnp.stack(leaves), prepared.weights, linear)

    def tuned_from_each(own: data.Sample) -> TrainResult:  # one after another: one program, and none waits
        return jax.lax.map(lambda start: fit(model, start, own, rule, calm=True), starts)

    both = data.at_size(tuned_from_each, rows, setting.sizes, index)
    tuned, probed_first = (jax.tree.map(lambda leaf, i=i: leaf[i], both) for i in range(2))
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
    setting: NonlinearSetting, key: Array, index: Int[Array, ""] | int, target: PyTree = None
) -> ScratchReport:
    """Train a fresh network on the first sizes[index] rows of a sample of the target (default: the instance's own)."""
    model = setting.model
    target = pair_of(setting, key, 0.0).target if target is None else target
    rows = target_sample(setting, key, target)
    start = model.start(_keys.named(key, "scratch start"))
    rule = model.scaled(setting.scratch)
    result = data.at_size(lambda own: fit(model, start, own, rule), rows, setting.sizes, index)
    value = jnp.where(usable(result.status), risk(setting, key, result.params, target), jnp.nan)
    return ScratchReport(value, result.status, result.num_steps)


def target_sample(setting: NonlinearSetting, key: Array, target: PyTree) -> data.Sample:
    """The instance's target sample, as large as the largest size."""
    return _draw(setting, _keys.named(key, "target sample"), target, setting.noise_std, max(setting.sizes))


def risk(setting: NonlinearSetting, key: Array, weights: PyTree, target: PyTree) -> Float[Array, ""]:
    """E (f - f_target)^2: exact where there is a closed form, else over num_test rows of the instance."""
    model: Any = setting.model
    if setting.exact:
        return model.population_loss(weights, target)
    inputs = setting.problem.inputs(_keys.named(key, "test"), setting.num_test)
    return jnp.mean((model.apply(weights, inputs) - _function(setting, target)(inputs)) ** 2)


def basis_of(setting: NonlinearSetting, key: Array, weights: PyTree, target: PyTree) -> LearnedBasis:
    """Eigenfeatures of a network and the target's components in them, exact or from num_test samples."""
    model: Any = setting.model
    if setting.exact:
        return learned_basis(model.moments(weights, target))
    blocks = sampled_moments(
        _keys.named(key, "moments"),
        lambda x: model.features(weights, x),
        _function(setting, target),
        setting.problem.inputs,
        num_samples=setting.num_test,
    )
    return learned_basis(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), blocks))


def _function(setting: NonlinearSetting, parameters: PyTree) -> Callable[[Array], Array]:
    return lambda inputs: setting.problem.function(parameters, inputs)


def _draw(
    setting: NonlinearSetting, key: Array, parameters: PyTree, noise_std: float | Array, count: int
) -> data.Sample:
    return data.draw(key, setting.problem.inputs, _function(setting, parameters), noise_std, num_samples=count)


def _power(setting: NonlinearSetting, key: Array, parameters: PyTree) -> Float[Array, ""]:
    """E f^2 of the source or target with these parameters."""
    if isinstance(setting.problem, TeacherTask):
        return mean_field.inner_product(parameters, parameters, setting.teacher_activation)
    inputs = setting.problem.inputs(_keys.named(key, "test"), setting.num_test)
    return jnp.mean(_function(setting, parameters)(inputs) ** 2)
