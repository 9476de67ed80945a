"""Grids of lanes are their single lanes, and what is watched is what is reported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import _keys
from tlx.glossary import Protocol
from tlx.linear import data, lanes
from tlx.linear.engines import ENGINES, Engine, engine
from tlx.linear.engines.base import NOT_RUN
from tlx.linear.pairs import Pairs, pair_lanes
from tlx.linear.setting import LinearSetting
from tlx.networks import deep_linear
from tlx.train import Optimizer

RULE = Optimizer(0.02, 200, tolerance=0.0)
SETTING = LinearSetting(
    dim=9, noise_std=0.3, source_samples=14, ridges=(0.0, 0.2), pretrain=RULE, scratch=RULE, fine_tune=RULE
)
ANGLES = np.array([0.3, 0.9, 2.0], np.float32)
ROUNDING = {"rtol": 2e-4, "atol": 2e-5}
EACH = [pytest.param(name, marks=[pytest.mark.extended] * (name != "spectral")) for name in ENGINES]  # others: longer


def close(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **ROUNDING), one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_a_grid_holds_the_lanes_of_its_engine(name, key):
    scratch, moved = lanes.transfer_grid(name, SETTING, key, [3, 5], np.array([[6], [12]]), ANGLES)
    assert scratch.risk.shape == (2, 2, 1)
    assert moved.linear_transfer_risk.shape == (2, 2, 3, 2)
    assert moved.fine_tuning_status.shape == (2, 2, 3)

    @jax.jit
    def one(number, count, angle):
        prepared, alone = engine(name).prepare(SETTING, _keys.lane(key, number), count)
        return alone, engine(name).transfer(SETTING, prepared, angle)

    for at in ((0, 1, 2), (1, 0, 1)):
        alone, expected = one([3, 5][at[1]], [6, 12][at[0]], ANGLES[at[2]])
        close(jax.tree.map(lambda leaf, at=at: leaf[at], moved), expected)
        close(jax.tree.map(lambda leaf, at=at: leaf[at[:2]], scratch), alone)
    close(lanes.scratch_lanes(name, SETTING, key, [3, 5], 6), jax.tree.map(lambda leaf: leaf[0], scratch))


def observe_weights(weights, source):
    return {"end": weights, "gap": jnp.sum((deep_linear.predictor(weights) - source) ** 2)}


@pytest.mark.slow
def test_watched_networks_are_those_that_are_transferred(key):
    """Same keys: the last record is the predictor whose source risk the grid reports; the first is the start."""
    watch = {"observe": observe_weights, "record_at": (0, 100, 200)}
    found = lanes.pretraining_lanes("full", SETTING, key, [3, 5], ANGLES, **watch)
    _, moved = lanes.transfer_grid("full", SETTING, key, [3, 5], 6, ANGLES)
    assert found.curve["gap"].shape == (2, 3, 3)
    np.testing.assert_allclose(found.curve["gap"][..., -1], moved.source_risk, **ROUNDING)
    np.testing.assert_array_equal(found.num_steps, moved.pretrain_steps)
    last = tuple(layer[:, :, -1] for layer in found.curve["end"])
    np.testing.assert_allclose(np.einsum("ijab,ijb->ija", *last), found.predictor, **ROUNDING)
    begins = found.curve["end"][0][:, :, 0]
    assert np.all(begins[0, 0] == begins[0, 1])  # one start an instance, whatever the angle
    assert np.any(begins[0, 0] != begins[1, 0])


def test_flow_and_a_placed_network_take_no_steps_to_watch(key):
    placed = LinearSetting(dim=9, pretraining="limit")
    for name, own in (("flow", SETTING), ("full", placed), ("spectral", placed)):
        with pytest.raises(ValueError, match="no steps to watch"):
            lanes.pretraining_lanes(name, own, key, [0], observe=observe_weights, record_at=(0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_pairs_with_tasks_of_their_own(name, key):
    """A pair's feature and labels are its target sample; its reports those of an engine at its own noise and norm."""
    own = Pairs(np.array([[7], [9]]), np.arange(2), np.array([[0.4], [1.1]]), np.array([[1.0], [2.0]]), 0.3, 12)
    found = pair_lanes(name, SETTING, key, own, rows=15)
    assert found.feature.shape == found.labels.shape == (2, 2, 15)
    setting = LinearSetting(
        dim=9, noise_std=0.3, source_samples=14, ridges=(0.0, 0.2), target_norm=2.0,
        pretrain=RULE, scratch=RULE, fine_tune=RULE,
    )  # fmt: skip
    prepared, scratch = engine(name).prepare(setting, _keys.lane(key, 9, 1), 12)
    close(jax.tree.map(lambda leaf: leaf[1, 1], found.scratch), scratch)
    pair = engine(name).pair(setting, prepared, 1.1)
    moved = engine(name).transfer(setting, prepared, jnp.float32(1.1))
    close(jax.tree.map(lambda leaf: leaf[1, 1], found.transfer), moved)
    beta = engine(name).pretrain(setting, prepared, pair).predictor
    stream = _keys.named(prepared.own, "target data")
    inputs, labels = data.draw(stream, pair.target, prepared.spectrum, 0.3, 15)
    np.testing.assert_allclose(found.labels[1, 1], labels, **ROUNDING)
    np.testing.assert_allclose(found.feature[1, 1], inputs @ beta / jnp.linalg.norm(beta), rtol=2e-3, atol=2e-4)
    cosine = beta @ pair.target / (jnp.linalg.norm(beta) * jnp.linalg.norm(pair.target))
    np.testing.assert_allclose(found.overlap[1, 1], cosine**2, rtol=1e-3)
    np.testing.assert_allclose(prepared.moments.label_power, jnp.mean(labels[:12] ** 2), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"instances": [0.5]}, r"instances = \[0\.5\]"),
        ({"instances": [-1]}, r"instances = \[-1\]"),
        ({"num_samples": 0}, r"num_samples = 0"),
        ({"num_samples": [2, 3, 4]}, r"shapes \{'instance': \(2,\), 'num_samples': \(3,\)\}"),
        ({"instances": 3}, r"no axis"),
        ({"overlap_angles": [4.0]}, r"radians"),
        ({"overlap_angles": []}, r"overlap_angles = \[\]"),
        ({"name": "fast"}, r"engine = 'fast' is not one of full, spectral, flow"),
    ],
)
def test_bad_lanes_are_refused(change, says, key):
    plain = {"name": "flow", "instances": [0, 1], "num_samples": 4, "overlap_angles": [0.3]}
    with pytest.raises(ValueError, match=says):
        lanes.transfer_grid(*({**plain, "setting": SETTING, "key": key, **change}[n] for n in
                              ("name", "setting", "key", "instances", "num_samples", "overlap_angles")))  # fmt: skip


def test_engines_are_engines_and_protocols_are_their_names():
    assert all(isinstance(one, Engine) and engine(one) is engine(one.name) for one in ENGINES.values())
    assert Protocol("lp_ft") == "lp_ft"
    assert f"{Protocol.FINE_TUNING}" == "fine_tuning"
    assert Protocol.FINE_TUNING.words == "fine tuning"
    assert np.asarray([Protocol.SCRATCH]).dtype.kind == "U"


@pytest.mark.slow
def test_fine_tuning_that_was_not_asked_for_says_so(key):
    own = dataclasses.replace(SETTING, protocols=(Protocol.SCRATCH, Protocol.LINEAR_TRANSFER))
    scratch, moved = lanes.transfer_grid("spectral", own, key, [3], 6, ANGLES)
    assert np.isfinite(scratch.risk).all()
    assert np.isfinite(moved.linear_transfer_risk).all()
    assert np.isnan(moved.fine_tuning_risk).all()
    assert (moved.fine_tuning_status == NOT_RUN).all()
