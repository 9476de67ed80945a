"""Training on a sample: the layout that makes a step fast changes no number, and a sample size is chosen, not computed
for all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import ensemble, nonlinear
from tlx.networks import mean_field
from tlx.nonlinear import MeanField, MultiLayer, NonlinearSetting, data, lanes
from tlx.nonlinear.curvature import largest_curvature, stable
from tlx.nonlinear.fit import fit
from tlx.train import Optimizer, train

RULE = Optimizer(0.5, 60, momentum=0.9, weight_decay=0.01, tolerance=0.0, check_every=20)
SIZES = (3, 5, 8)


def sample_of(model, count=30):
    inputs = jax.random.normal(jax.random.key(1), (count, model.dim))
    return data.Sample(inputs, jnp.tanh(inputs[:, 0]) + 0.1 * inputs[:, 1])


def plain(model, rows):
    return lambda weights: jnp.mean((model.apply(weights, rows.inputs) - rows.labels) ** 2)


@pytest.mark.parametrize(
    "model",
    [MeanField(4, 6, init_scale=1.0), MeanField(4, 6, "tanh", 1.0), MultiLayer(4, (5, 6))],
    ids=["relu", "tanh", "mlp"],
)
def test_a_fit_is_plain_training_on_the_mean_squared_error(model):
    with jax.enable_x64(True):
        rows, start = sample_of(model), model.start(jax.random.key(2))
        watch = {"observe": lambda weights: weights, "record_at": (0, 7, 60)}
        found = fit(model, start, rows, RULE, **watch)
        expected = train(plain(model, rows), start, RULE, **watch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), found, expected)
    assert max(np.max(np.abs(a - b)) for a, b in zip(*map(jax.tree.leaves, (found.params, start)))) > 0.01


def test_a_calm_fit_cuts_its_step_to_what_the_start_bears():
    model = MeanField(4, 6, init_scale=30.0)
    rows, start = sample_of(model), model.start(jax.random.key(2))
    found = fit(model, start, rows, RULE, calm=True)
    expected = train(plain(model, rows), start, stable(RULE, plain(model, rows), start))
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-4)
    assert not fit(model, start, rows, RULE).loss < 1e3  # as asked for, it is lost


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_columns_have_the_values_gradients_and_curvature_of_rows(activation):
    network = mean_field.random_start(jax.random.key(0), dim=7, width=9, init_scale=1.0)
    rows = sample_of(MeanField(7, 9), 40)

    def squares(apply):
        return lambda weights, inputs: jnp.mean((apply(weights, inputs, activation) - rows.labels) ** 2)

    by_rows, by_columns = squares(mean_field.apply), squares(mean_field.apply_columns)
    columns = mean_field.to_columns(network)
    found = jax.value_and_grad(by_columns, (0, 1))(columns, rows.inputs)
    value, (slope, moved) = jax.value_and_grad(by_rows, (0, 1))(network, rows.inputs)
    expected = value, (mean_field.to_columns(slope), moved)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.max(np.abs(b))), found, expected
    )
    curvatures = [
        largest_curvature(lambda w, loss=loss: loss(w, rows.inputs), weights)
        for loss, weights in ((by_columns, columns), (by_rows, network))
    ]
    np.testing.assert_allclose(*curvatures, rtol=1e-4)
    assert mean_field.to_rows(columns).neurons.shape == network.neurons.shape


def test_relu_has_no_slope_where_it_is_off_and_at_zero():
    network = jnp.eye(3), jnp.ones(3)
    rows = jnp.array([[1.0, 0.0, -1.0]])
    slope = jax.grad(lambda w: mean_field.apply_columns(w, rows, "relu").sum())(network)[0]
    np.testing.assert_allclose(slope, np.outer([1, 0, -1], [1, 0, 0]) / 3, rtol=1e-6)


@pytest.mark.parametrize("index", range(3))
def test_a_size_is_the_first_rows_whether_it_is_known_or_traced(index):
    rows = sample_of(MeanField(4, 6), max(SIZES))

    def total(own):
        return own.inputs.sum() + 10 * own.labels.sum() + 100 * own.labels.shape[0]

    count = SIZES[index]
    expected = total(data.Sample(rows.inputs[:count], rows.labels[:count]))
    np.testing.assert_allclose(data.at_size(total, rows, SIZES, index), expected, rtol=1e-6)
    traced = jax.jit(lambda which: data.at_size(total, rows, SIZES, which))(jnp.int32(index))
    np.testing.assert_allclose(traced, expected, rtol=1e-6)


@pytest.mark.slow
def test_an_accelerator_runs_one_sample_size_at_a_time():
    """Pairs side by side share a size, which stays a branch; sizes side by side would each compute all of them."""
    setting = NonlinearSetting(MeanField(3, 4), num_teacher_neurons=2, sizes=SIZES)
    outer = {"instance": np.arange(5, dtype=np.int32)}
    shared = (setting, jax.random.key(0)), np.arange(len(SIZES), dtype=np.int32)
    layout = ensemble.make_layout(5, devices=tuple(jax.devices("cpu")[:1]), together=5)

    def branches(side_by_side):
        both = ensemble.nested(lanes.sample_of, lanes.scratch, side_by_side)
        text = ensemble.lower_lanes(both, outer, shared, layout=layout, platform="tpu").as_text()
        return text.count("stablehlo.case")

    assert branches(False) == branches(True) + 1  # the others are of one branch, for the platform


@pytest.mark.slow
def test_sizes_run_one_after_another_and_give_what_single_lanes_give(monkeypatch):
    asked, original = [], ensemble.run_nested

    def watched(*arguments, **options):
        asked.append(options["side_by_side"])
        return original(*arguments, **options)

    monkeypatch.setattr(ensemble, "run_nested", watched)
    setting = NonlinearSetting(
        MeanField(3, 4), num_teacher_neurons=2, sizes=SIZES, scratch=Optimizer(0.1, 50, tolerance=0.0)
    )
    key = jax.random.key(0)
    found = nonlinear.scratch_lanes(setting, key, np.array([[0, 3]]))
    assert found.risk.shape == (1, 2, 3)
    alone = nonlinear.scratch_lanes(setting, key, 3)
    assert alone.risk.shape == (3,)
    np.testing.assert_allclose(alone.risk, found.risk[0, 1], rtol=1e-5)
    assert len(np.unique(found.risk)) == 6
    assert asked == [False, False]
