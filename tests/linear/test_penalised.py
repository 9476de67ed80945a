"""Penalised protocols, chosen layers, low-rank updates and mini-batches, against closed forms of the same data set."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.linear import batches, data, lanes, penalties
from tlx.linear import chain as chains
from tlx.linear.engines import engine
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer

RULE = Optimizer(0.03, 4000, tolerance=1e-6)
SETTING = LinearSetting(
    dim=14,
    noise_std=0.5,
    pretraining="limit",
    init_scale=1e-3,
    protocols=("scratch", "linear_transfer", "fine_tuning", "l2sp", "source_ridge"),
    l2sp_penalties=(0.3, 2.0),
    source_ridges=(0.2,),
    scratch=Optimizer(0.03, 50),  # not looked at
    fine_tune=RULE,
)
ANGLE = 0.9


def pair_of(name, setting, key, num_samples=9):
    """(engine, prepared data set, pair, pretrained network) of one instance."""
    one = engine(name)
    prepared = one.draw(setting, key, num_samples)
    pair = one.pair(setting, prepared, ANGLE)
    return one, prepared, pair, one.pretrain(setting, prepared, pair)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full", "spectral", "flow"])
def test_penalised_fine_tuning_ends_at_the_ridge_solution(name, key, x64):
    """All layers trained with k |beta - beta_pre|^2 end at (A + k)^-1 (b + k beta_pre), whatever the engine."""
    one, prepared, _, source = pair_of(name, SETTING, key)
    covariance, cross, *_ = prepared.moments
    for penalty in (0.3, 2.0):
        end = one.penalise("l2sp", SETTING, prepared, source, jnp.asarray(penalty))
        ridge = np.linalg.solve(covariance + penalty * np.eye(14), cross + penalty * source.predictor)
        np.testing.assert_allclose(end.predictor, ridge, atol=2e-5)
    end = one.penalise("source_ridge", SETTING, prepared, source, jnp.asarray(0.2))
    unit = source.predictor / np.linalg.norm(source.predictor)
    spared = np.eye(14) - np.outer(unit, unit)
    np.testing.assert_allclose(end.predictor, np.linalg.solve(covariance + 0.2 * spared, cross), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_a_huge_source_ridge_is_linear_transfer(key, x64):
    one, prepared, _, source = pair_of("spectral", SETTING, key)
    probe = one.probe(SETTING, prepared, source)
    end = one.penalise("source_ridge", SETTING, prepared, source, jnp.asarray(1e9))
    np.testing.assert_allclose(end.predictor, probe.predictors[0], atol=1e-7)


@pytest.mark.slow
def test_full_weights_and_chain_agree_under_decay_towards_the_start(key, x64):
    ends = []
    for name in ("full", "spectral"):
        one, prepared, _, source = pair_of(name, SETTING, key)
        ends.append(one.penalise("layerwise_l2sp", SETTING, prepared, source, jnp.asarray(0.4)).predictor)
    np.testing.assert_allclose(*ends, atol=1e-6)
    assert np.linalg.norm(ends[0] - source.predictor) > 0.05


@pytest.mark.slow
def test_one_trained_layer_keeps_what_the_data_do_not_see(key, x64):
    """Theorem 3.9 exactly: beta = beta_sc + (I - P) beta_pre with layer 1 alone, or a low-rank update of it."""
    base = dataclasses.replace(SETTING, fine_tune=Optimizer(0.05, 20000, tolerance=1e-9))
    one, prepared, pair, source = pair_of("full", base, key)
    basis, modes = chains.decompose(prepared.moments)
    seen = np.asarray(basis)[:, np.asarray(chains.resolved(modes))]
    published = np.linalg.pinv(prepared.moments.covariance) @ prepared.moments.cross
    published = published + source.predictor - seen @ (seen.T @ source.predictor)
    gaps = {}
    for name, options in {
        "first": {"trained_layers": (1,)},
        "low rank": {"trained_layers": (1,), "lora_rank": 1, "lora_scale": 1e-3},
        "all": {},
        "last": {"trained_layers": (2,)},
    }.items():
        setting = dataclasses.replace(base, **options)
        end = one.fine_tune(setting, prepared, source, lambda beta: jnp.sum((beta - pair.target) ** 2))
        gaps[name] = float(np.linalg.norm(end.predictor - published))
    assert gaps["first"] < 1e-4
    assert gaps["low rank"] < 1e-3
    assert gaps["all"] > 0.02
    assert gaps["last"] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full", "spectral"])
def test_a_batch_of_the_whole_sample_is_gradient_descent(name, key, x64):
    rule = Optimizer(0.02, 60, tolerance=0.0)
    plain = dataclasses.replace(SETTING, fine_tune=rule, scratch=rule)
    whole = dataclasses.replace(plain, batch_size=9, replacement=False, max_samples=11)
    ends = []
    for setting in (plain, whole):
        one, prepared, _, source = pair_of(name, setting, key)
        ends.append(one.fine_tune(setting, prepared, source, jnp.sum).predictor)
    np.testing.assert_allclose(*ends, rtol=1e-9)


@pytest.mark.slow
def test_chain_and_full_weights_see_the_same_batches(key, x64):
    rule = Optimizer(0.02, 300, tolerance=0.0)
    for replacement in (True, False):
        setting = dataclasses.replace(SETTING, fine_tune=rule, batch_size=2, replacement=replacement)
        ends = []
        for name in ("full", "spectral"):
            one, prepared, _, source = pair_of(name, setting, key)
            ends.append(one.fine_tune(setting, prepared, source, jnp.sum).predictor)
        np.testing.assert_allclose(*ends, rtol=1e-7)


def test_an_epoch_without_replacement_sees_every_row_once(key):
    setting = dataclasses.replace(SETTING, batch_size=3, replacement=False)
    labels = jnp.asarray([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 1e3, 1e3])  # the last two are padding
    sample = jnp.zeros((8, 1)), jnp.sqrt(labels)
    steps = [float(3 * batches.loss(key, setting, sample, jnp.asarray(6), jnp.zeros(1), s)) for s in range(4)]
    np.testing.assert_allclose([steps[0] + steps[1], steps[2] + steps[3]], 63.0, rtol=1e-5)
    assert steps[0] != pytest.approx(steps[2])


@pytest.mark.slow
def test_lanes_report_every_penalty_and_skip_what_is_not_asked_for(key):
    setting = dataclasses.replace(SETTING, protocols=("l2sp",), fine_tune=Optimizer(0.03, 20))
    _, found = lanes.transfer_grid("spectral", setting, key, np.arange(2), 9, np.array([0.3, ANGLE]))
    assert found.penalised["l2sp"].risk.shape == (2, 2, 2)
    assert np.all(found.fine_tuning_status == -1)
    assert np.all(np.isnan(found.fine_tuning_risk))
    assert set(found.penalised) == {"l2sp"}


def test_pulled_moments_are_those_of_the_penalised_loss(key, x64):
    inputs = jax.random.normal(key, (7, 4))
    sample, centre = data.moments(inputs, inputs[:, 0]), jnp.arange(4.0)
    beta = jnp.asarray([0.5, -1.0, 2.0, 0.1])
    pulled = data.squared_loss(beta, penalties.pulled_moments(sample, centre, jnp.asarray(0.7)))
    expected = data.squared_loss(beta, sample) + 0.7 * jnp.sum((beta - centre) ** 2)
    np.testing.assert_allclose(pulled, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"protocols": ("l2",)}, "protocols = 'l2'"),
        ({"protocols": ()}, "at least one protocol"),
        ({"trained_layers": (3,)}, "layers from 1 to depth = 2"),
        ({"trained_layers": (2, 1)}, "increasing"),
        ({"lora_rank": 15}, "above the rank 14"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"l2sp_penalties": (-1.0,)}, "l2sp_penalties"),
        ({"source_ridges": (0.0,)}, "source_ridges"),
    ],
)
def test_impossible_choices_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SETTING, **options)


def test_what_an_engine_cannot_do_is_refused(key):
    for name, options, words in (
        ("spectral", {"trained_layers": (1,)}, "use engine full"),
        ("flow", {"lora_rank": 1}, "use engine full"),
        ("flow", {"batch_size": 2}, "sees the whole sample"),
        ("flow", {"protocols": ("layerwise_l2sp",)}, "full or spectral"),
        ("spectral", {"batch_size": 10}, "larger than the target sample of 9"),
        ("spectral", {"batch_size": 2, "max_samples": 8}, "max_samples = 8"),
    ):
        with pytest.raises(ValueError, match=words):
            lanes.transfer_grid(name, dataclasses.replace(SETTING, **options), key, np.arange(1), 9, np.array([0.4]))
