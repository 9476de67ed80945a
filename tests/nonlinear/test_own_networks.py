"""Networks and tasks of one's own: the worked examples through every protocol, from Python and from the command."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import experiments
from experiments.examples import attention, convolution
from tlx.nonlinear import FlaxModel, MeanField, NonlinearSetting, scratch_lanes, transfer_grid
from tlx.nonlinear.overlap import feature_overlap
from tlx.nonlinear.protocols import pair_of, prepare
from tlx.train import Optimizer, Status

pytestmark = [pytest.mark.slow, pytest.mark.extended]

EXAMPLES = pytest.mark.parametrize("example", [convolution, attention], ids=["convolution", "attention"])


def setting(example, **changes):
    rule = functools.partial(Optimizer, name="adam", tolerance=0.0)
    arguments = {"pretraining": "online", "pretrain": rule(0.02, 800), "fine_tune": rule(0.01, 200), "batch_size": 100}
    arguments |= {"scratch": rule(0.01, 200), "num_test": 2000, "sizes": (30,), "noise_std": 0.1, "cutoff": 1e-3}
    return NonlinearSetting(example.network(), task=example.task(), **{**arguments, **changes})


@EXAMPLES
def test_an_example_goes_through_every_protocol(key, example):
    """Transfer from the target itself beats training from scratch, and moves away from it as the source does."""
    own, instances = setting(example), np.arange(3)
    report, moved = transfer_grid(own, key, instances[:, None], np.array([0.0, 1.0])[None, :])
    scratch = scratch_lanes(own, key, instances)
    assert moved.lp_ft_risk.shape == (3, 2, 1)
    assert scratch.risk.shape == (3, 1)
    for field in moved:
        assert np.all(np.isfinite(field))
    assert np.all(moved.fine_tuning_status == Status.MAX_STEPS)  # the tolerance is 0
    assert np.all(report.source_loss < 0.3)
    for risk in (moved.linear_transfer_risk, moved.ridge_transfer_risk, moved.fine_tuning_risk, moved.lp_ft_risk):
        same, other = risk[:, 0].mean(), risk[:, 1].mean()
        assert same < 0.5 * scratch.risk.mean()
        assert same < other
    assert np.all(report.out_of_space[:, 0] < report.out_of_space[:, 1])


@EXAMPLES
@pytest.mark.thorough
def test_the_sampled_overlap_of_an_example_agrees_with_its_report(key, example):
    own = setting(example)
    prepared, report = jax.jit(lambda k: prepare(own, k, 0.5))(key)
    task, target = own.task, pair_of(own, key, 0.5).target
    found = feature_overlap(
        lambda x: own.model.features(prepared.weights, x),
        lambda x: task.function(target, x),
        cutoffs=(),
        ridges=(own.ridge,),  # smooth in the eigenvalues: another sample keeps no other features
        key=jax.random.fold_in(key, 1),
        draw_inputs=task.inputs,
        num_samples=20_000,
    )
    outside = report.ridge_floor / prepared.basis.power  # from 2000 rows, ten times fewer
    assert abs(float(1 - found.overlap[0] - outside)) < 4 * float(found.standard_error[0]) * math.sqrt(11)
    assert outside > 0.01  # there is something to agree on


class Deep(linen.Module):
    """Gates of one number inside, so that the last layer is not the only one with one output."""

    @linen.compact
    def __call__(self, x):
        hidden = jnp.tanh(linen.Dense(5, name="hidden")(x))
        gate = linen.sigmoid(linen.Dense(1, name="gate")(hidden))
        return linen.Dense(1, name="head")(gate * hidden)[:, 0]


@pytest.mark.parametrize(
    "module", [Deep(), lambda rngs: nnx.Sequential(nnx.Linear(4, 5, rngs=rngs), jnp.tanh, nnx.Linear(5, 1, rngs=rngs))]
)
def test_features_are_what_enters_the_last_dense_layer(x64, key, module):
    """Against the modules' own layers, run by hand; refitted coefficients come out again."""
    model = FlaxModel(module, (4,))
    weights, inputs = model.start(key), jax.random.normal(key, (6, 4))
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(weights))
    first = weights["hidden"] if "hidden" in weights else weights["layers"][0]
    hidden = jnp.tanh(inputs @ first["kernel"] + first["bias"][None, :])
    if "gate" in weights:
        hidden = hidden * jax.nn.sigmoid(hidden @ weights["gate"]["kernel"] + weights["gate"]["bias"][None, :])
    wanted = jnp.concatenate([hidden, jnp.ones((6, 1))], axis=1) / math.sqrt(6)
    features = model.features(weights, inputs)
    assert jnp.allclose(features, wanted, rtol=1e-12)
    coefficients = jax.random.normal(jax.random.fold_in(key, 1), (6,))
    refitted = model.refit(weights, coefficients)
    assert jnp.allclose(model.apply(refitted, inputs), features @ coefficients, rtol=1e-12)
    assert FlaxModel(Deep(), (4,), last="head") == FlaxModel(Deep(), (4,), last="head")


def test_a_network_of_this_library_learns_a_task_of_ones_own():
    """Inputs that are not rows are refused before any compute; the closed forms of teachers are not used."""
    with pytest.raises(ValueError, match=r"MeanField: apply.*\(3, 8, 8, 1\)"):
        NonlinearSetting(MeanField(64, 8), pretraining="online", task=convolution.task())
    with pytest.raises(ValueError, match=r"population.*on a task of one's own.*online") as caught:
        setting(convolution, pretraining="population")
    assert "experiments.examples.convolution.Convolution on" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


COMMAND = ["network.custom=experiments.examples.convolution:network", "pretraining.loss=online", "num_test=200"]
COMMAND += ["network.width=3", "optimizer.num_steps=20", "pretraining.num_steps=20", "optimizer.name=adam"]
COMMAND += ["ensemble.num_instances=2", "ensemble.devices=1"]


@pytest.mark.thorough
def test_a_command_trains_networks_and_tasks_of_ones_own(tmp_path):
    own = ["task.custom=experiments.examples.convolution:task", "grid.amounts=[0.0,1.0]", "grid.sample_sizes=[8,16]"]
    data = experiments.run("relu_phase_diagram", [*COMMAND, *own], directory=tmp_path, quiet=True)
    assert np.all(np.isfinite(data.risk))
    assert data.attrs["family"] == "custom"
    assert "convolution:network" in data.attrs["title"]
    assert (tmp_path / "relu_phase_diagram.png").exists()


@pytest.mark.thorough
def test_the_study_of_overlap_takes_a_network_of_ones_own(tmp_path):
    words = [*COMMAND, "task.dim=64", "grid.families=[rotation]", "grid.fractions=[0,1]", "standard_num_steps=20"]
    data = experiments.run("overlap", [*words, "num_samples=16", "task.num_neurons=3"], directory=tmp_path, quiet=True)
    assert data.network.values.tolist() == ["experiments.examples.convolution:network"]
    assert np.all(np.isfinite(data.risk))
