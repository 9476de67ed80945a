"""Studies of training as it is done: what each says of a small run is what its numbers are."""

import numpy as np
import pytest
import small
import synthetic
import xarray as xr

from experiments import frozen_layers, sgd, stopping, tuned
from experiments.linear import halves, over_time, tuning
from experiments.running.study import UserError
from tlx import theory

pytestmark = [pytest.mark.slow, pytest.mark.extended]


def read(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.load()


def test_a_choice_is_judged_by_the_other_half():
    risks = np.zeros((3, 6))
    risks[:, ::2] = np.array([3.0, 1.0, 2.0])[:, None]  # even ones choose candidate 1
    risks[:, 1::2] = np.array([0.5, 5.0, 4.0])[:, None]  # odd ones choose candidate 0
    np.testing.assert_array_equal(halves.judged(risks), [5.0, 5.0, 5.0, 3.0, 3.0, 3.0])
    risks[1, 0] = np.nan  # a failed run is in no mean
    np.testing.assert_array_equal(halves.judged(risks)[:3], [5.0, 5.0, 5.0])


def test_a_gain_crosses_zero_on_the_line_between_two_angles():
    angle, error = stopping.crossing(np.array([0.5, 1.0, 1.5]), np.array([2.0, 1.0, -3.0]), np.full(3, 0.4))
    assert angle == pytest.approx(1.125)
    assert error == pytest.approx(0.4 / 8)
    assert np.isnan(stopping.crossing(np.array([0.5, 1.0]), np.array([2.0, 1.0]), np.ones(2))[0])


def test_the_stopped_boundary_is_about_sixty_degrees():
    """Positive at 58.5 degrees and negative at 61.5, at noise where the end of training breaks even far from there."""
    ratios, noises = np.array([0.3, 0.6, 1.5])[:, None, None], np.array([0.5, 1.0])[:, None]
    angles = np.radians([58.5, 61.5])
    gain = theory.stopped_transferability("fine_tuning", angles, ratios, noises, init_scale=1e-2)
    assert np.all(gain[..., 0] > 0)
    assert np.all(gain[..., 1] < 0)
    ended = np.degrees(theory.break_even_angle("fine_tuning", ratios[:2, 0], noises[:, 0]))
    assert np.max(np.abs(ended - 60)) > 4


@pytest.mark.slow
def test_a_study_of_stopping_holds_both_sides(results):
    data = read(results("stopping"))
    gain = data.stopped_transferability_mean
    apart = data.stopped_risk_mean.sel(protocol="scratch") - data.stopped_risk_mean
    np.testing.assert_allclose(gain, apart.transpose(*gain.dims), rtol=1e-5, atol=1e-6)
    assert np.isfinite(data.theory_best_risk).all()
    assert data.theory_break_even_angle.shape == data.sample_ratio.shape


def test_theory_is_searched_among_the_penalties_that_were_tried():
    """A list without the optimum leaves theory where the list does; without a penalty L2-SP is fine-tuning."""
    words = ["task.dim=40", "task.noise_std=0.5", "l2sp.penalties=[0.0]", "l2sp.weight_decays=[0.0,0.3]"]
    words += ["linear_transfer.ridges=[10.0]", "scratch.weight_decays=[0.0]", "source_ridge.ridges=[100.0]"]
    config = small.composed("tuned", [*small.SMALL["tuned"], *words, "grid.times=[0.1,0.5]"])
    setting = small.study("tuned").setting(config)
    theta, ratio, place = np.array([0.3, 1.2]), np.array([0.4]), {"dim": 40}
    found = dict(zip(map(str, setting.protocols), tuning.listed(setting, "flow", theta, ratio), strict=True))
    free = theory.fine_tuning_risk(theta, 0.4, 0.5, depth=setting.depth, **place)
    decayed = theory.layerwise_l2sp_risk(theta, 0.4, 0.5, 0.3, depth=setting.depth)
    times = theory.risk_over_time("fine_tuning", [0.1, 0.5], theta, 0.4, 0.5, depth=setting.depth, num_samples=16.0)
    expected = {
        "scratch": np.full(2, theory.scratch_risk(0.4, 0.5)),
        "linear_transfer": theory.linear_transfer_risk(theta, 0.5, num_samples=16.0, ridge=10.0),
        "fine_tuning": times.min(-1),
        "l2sp": free,
        "layerwise_l2sp": np.minimum(free, decayed),
        "source_ridge": theory.source_ridge_risk(theta, 0.4, 0.5, 100.0, num_samples=16.0),
    }
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name][:, 0], wanted, rtol=1e-4, err_msg=name)


def test_a_tuned_study_compares_every_protocol_with_its_optimum(results):
    data = read(results("tuned"))
    assert list(data.protocol.values) == [
        "scratch", "linear_transfer", "fine_tuning", "l2sp", "layerwise_l2sp", "source_ridge",
    ]  # fmt: skip
    assert np.isfinite(data.theory_tuned).all()
    same = ["scratch", "linear_transfer", "source_ridge"]  # the others' optima are those of infinite dimension
    assert np.all(data.theory_listed.sel(protocol=same) >= data.theory_tuned.sel(protocol=same) - 1e-4)
    least = data.theory_tuned.sel(protocol="source_ridge") - data.theory_tuned.sel(protocol="scratch")
    assert np.all(least < 0.2)  # never worse than tuned scratch but for the probe's own 1/n
    assert np.all(data.theory_tuned.sel(protocol="scratch") <= data.theory.sel(protocol="scratch"))


def test_trained_layers_are_read_from_words():
    config = small.composed("frozen_layers", small.SMALL["frozen_layers"])
    assert frozen_layers.trained_as(config, "1+3").fine_tuning.trained_layers == [1, 3]
    assert frozen_layers.trained_as(config, "2 lora 4").fine_tuning.lora_rank == 4
    assert not frozen_layers.trains_first("2+3")
    with pytest.raises(UserError, match="layers joined by"):
        frozen_layers.trained_as(config, "first")


@pytest.mark.parametrize(
    ("study", "rejected"),
    [("sgd", ": gradient flow"), ("frozen_layers", ": Theorem 3.9"), ("several_outputs", ": the sum fails")],
)
def test_forms_that_stand_to_be_rejected_are_not_claimed(study, rejected):
    verdicts = small.study(study).verdicts(synthetic.data(study))
    claims = {verdict.method: verdict.claimed for verdict in verdicts}
    assert claims == {name: not name.endswith(rejected) for name in claims}
    assert set(claims.values()) == {True, False}


@pytest.mark.thorough
def test_one_trained_layer_is_theorem_3_9_and_more_are_not(tmp_path):
    words = ["task.dim=24", "task.noise_std=1", "network.depth=3", "optimizer.num_steps=3000", "figures=[]"]
    words += ["optimizer.learning_rate=0.04", "ensemble.num_instances=30", "grid.trained=[1,1 lora 1,1+2+3]"]
    data = read(small.run("frozen_layers", tmp_path, *words))
    assert np.all(np.abs(data.z_published.values[:2]) < 3)
    assert np.all(np.abs(data.z_published.values[2]) > 5)
    assert np.all(np.abs(data.z.values) < 4)


@pytest.mark.thorough
def test_mini_batches_shrink_the_balance_as_theory_says(tmp_path):
    words = ["task.dim=100", "task.noise_std=1", "optimizer.num_steps=1000", "grid.times=[0.5,1,4]", "figures=[]"]
    words += ["optimizer.learning_rate=0.004", "grid.batch_sizes=[2]"]
    data = read(small.run("sgd", tmp_path, *words, "ensemble.num_instances=30"))
    two = data.sel(batch_size=2)
    assert np.all(np.abs(two.z_risk) < 4.5)
    assert np.all(np.abs(two.z_balance) < 4.5)
    assert np.max(np.abs(two.z_flow_balance)) > 5


def test_impossible_batches_and_turns_are_refused():
    config = small.composed("sgd", [*small.SMALL["sgd"], "grid.batch_sizes=[7]"])
    with pytest.raises(UserError, match="distinct whole numbers"):
        sgd.Sgd().axes(config)
    for name in ("phase_diagram", "comparison"):
        config = small.composed(name, [*small.SMALL[name], "sgd.batch_size=30"])
        with pytest.raises(UserError, match=r"sgd.batch_size = 30 is larger than the target sample of \d+ rows"):
            small.study(name).axes(config)
    config = small.composed("several_outputs", [*small.SMALL["several_outputs"], "grid.turns=[4.0]"])
    with pytest.raises(UserError, match=r"must lie in \[0, pi\]"):
        small.study("several_outputs").axes(config)
    config = small.composed("tuned", [*small.SMALL["tuned"], "protocols=[scratch,l2sp]"])
    with pytest.raises(UserError, match="lacks fine_tuning"):
        tuned.Tuned().axes(config)


def test_the_start_that_theory_takes_is_the_part_that_grows():
    config = small.composed("learning_curves", [*small.SMALL["learning_curves"], "network.init_scale=0.001"])
    setting = small.study("learning_curves").setting(config)
    assert over_time.start_scale(setting, "spectral") == pytest.approx(0.001 / np.sqrt(2))
