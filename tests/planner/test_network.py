"""plan_network: kernels against explicit gradients, held-out errors against refits, curves against larger samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from tlx import planner
from tlx.planner import tangent


class Net(linen.Module):
    width: int = 24
    outputs: int = 1

    @linen.compact
    def __call__(self, x):
        x = linen.tanh(linen.Dense(self.width)(x))
        return linen.Dense(self.outputs)(x)


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(6, 12, rngs=rngs)
        self.last = nnx.Linear(12, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.first(x)))


def case(count, outputs=1, noise=0.1, seed=0, dim=6):
    rng = np.random.default_rng(seed)
    net = Net(outputs=outputs)
    params = net.init(jax.random.key(seed), jnp.ones((1, dim)))
    inputs = rng.normal(size=(count, dim)).astype(np.float32)
    labels = np.asarray(net.apply(params, inputs), float) + 0.2 * np.tanh(inputs[:, :1])
    return net, params, inputs, labels + noise * rng.normal(size=labels.shape)


@pytest.mark.slow
@pytest.mark.parametrize(("outputs", "block"), [(1, 2**26), (3, 4000)])
def test_kernels_are_products_of_gradients_whatever_the_blocks(outputs, block, monkeypatch):
    monkeypatch.setattr(tangent, "_BLOCK", block)
    net, params, inputs, _ = case(23, outputs)
    network = tangent.resolve(net, params, inputs)
    head = tangent.head_of(network, inputs)
    last, whole = tangent.kernels(network, network.params, inputs, head)
    jacobian = jax.jacobian(lambda p: net.apply({"params": p}, inputs))(params["params"])
    rows = {name: [np.asarray(leaf).reshape(23, outputs, -1) for leaf in jax.tree.leaves(part)]
            for name, part in jacobian.items()}  # fmt: skip
    explicit = {
        name: sum(np.einsum("iok,jok->ij", leaf, leaf) for leaf in part) / outputs for name, part in rows.items()
    }
    np.testing.assert_allclose(last, explicit["Dense_1"], rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(whole, explicit["Dense_0"] + explicit["Dense_1"], rtol=2e-5, atol=1e-5)


@pytest.mark.slow
def test_the_head_and_its_features_are_found():
    net, params, inputs, _ = case(20)
    network = tangent.resolve(net, params, inputs)
    features = tangent.head_features(network, inputs, tangent.head_of(network, inputs))
    hidden = np.tanh(inputs @ np.asarray(params["params"]["Dense_0"]["kernel"]))  # its bias is zero
    np.testing.assert_allclose(features, hidden, atol=1e-5)
    with pytest.raises(ValueError, match="head = 'Dense_7' is no layer of the network: it has Dense_0, Dense_1"):
        tangent.head_of(network, inputs, "Dense_7")


@pytest.mark.slow
def test_held_out_errors_are_those_of_separate_fits():
    net, params, inputs, labels = case(24)
    plan = planner.plan_network(net, params, inputs, labels[:, 0], num_fresh=1)
    network = tangent.resolve(net, params, inputs)
    _, kernel = tangent.kernels(network, network.params, inputs, tangent.head_of(network, inputs))
    left = labels[:, 0] - np.asarray(net.apply(params, inputs), float)[:, 0]
    centring = np.eye(24) - 1 / 24
    penalty = plan.curves["fine_tuning"].penalty * np.mean(np.linalg.eigvalsh(centring @ kernel @ centring)[1:])
    errors = []
    for i in range(24):
        rows = np.delete(np.arange(24), i)
        system = np.block([[kernel[np.ix_(rows, rows)] + penalty * np.eye(23), np.ones((23, 1))],
                           [np.ones((1, 23)), np.zeros((1, 1))]])  # fmt: skip
        fit = np.linalg.solve(system, np.append(left[rows], 0.0))
        errors.append((left[i] - kernel[i, rows] @ fit[:-1] - fit[-1]) ** 2)
    assert plan.curves["fine_tuning"].error == pytest.approx(np.mean(errors), rel=1e-3)
    zero = np.mean(left**2)
    assert plan.curves["zero_shot"].error == pytest.approx(zero, rel=1e-6)


@pytest.mark.slow
def test_curves_hold_at_four_times_the_pilot():
    """Four pilots of 60 rows: the held-out error that pilots of 240 rows find lies in the interval in all but one."""
    inside = []
    for seed in range(4):
        net, params, inputs, labels = case(240, seed=seed, noise=0.2)
        small = planner.plan_network(net, params, inputs[:60], labels[:60], sample_sizes=[240], num_fresh=1)
        large = planner.plan_network(net, params, inputs, labels, sample_sizes=[240], num_fresh=1)
        for name in ("probe", "fine_tuning"):
            curve = small.curves[name]
            inside.append(curve.low[0] <= large.curves[name].error <= curve.high[0])
            assert curve.low[0] < curve.error
    assert np.sum(inside) >= 7


@pytest.mark.slow
def test_every_kind_of_network_is_taken():
    _, _, inputs, labels = case(40)
    nnx_plan = planner.plan_network(NnxNet(nnx.Rngs(0)), None, inputs, labels[:, 0])
    assert "shuffling" in nnx_plan.notes[1]
    weights = tuple(np.random.default_rng(i).normal(size=s).astype(np.float32) for i, s in enumerate(((30, 6), (30,))))

    def mean_field(params, x):
        return jnp.mean(params[1][None, :] * jax.nn.relu(x @ params[0].T), axis=1)

    plain = planner.plan_network(mean_field, weights, inputs, labels, num_samples=10**15)
    assert plain.num_features == 30
    assert plain.planned["null"][0] == pytest.approx(np.median(plain.curves["null"].value), rel=1e-6)


def test_classes_add_their_scores_and_the_table_shows_all():
    net, params, inputs, labels = case(60, outputs=3)
    plan = planner.plan_network(net, params, inputs, labels.argmax(1), classes=True, num_fresh=1)
    assert {"NCE", "LEEP", "TransRate", "LogME"} <= set(plan.scores)
    assert "zero_shot" not in plan.curves
    assert max(map(len, str(plan).splitlines())) <= 80
    text = " ".join(str(plan).split())
    for part in ("probe", "null: the mean label", "LEEP", "A linearised network is not a trained one", "full kernel"):
        assert part in text


@pytest.mark.slow
def test_errors_of_indicators_have_no_tail_and_leave_narrower_intervals():
    """The mean label's interval has the width of 1.96 resampled deviations, widened by sqrt(2 (1 + (few/n)²))."""
    net, params, inputs, labels = case(40, outputs=3)
    codes = labels.argmax(1)
    given = net, params, inputs
    bounded = planner.plan_network(*given, codes, classes=True, num_fresh=1)
    plain = planner.plan_network(*given, np.eye(3)[codes], num_fresh=1)
    for plan, few in ((bounded, 20), (plain, 60)):
        middle, low, high = plan.planned["null"]
        error = plan.curves["null"].standard_error * np.sqrt(39 / 40)
        assert (high - low) / (2 * 1.96 * error) == pytest.approx(np.sqrt(2 * (1 + (few / 40) ** 2)), rel=0.15)
        assert middle == pytest.approx(plan.curves["null"].error, rel=0.1)
    assert bounded.curves["null"].error == pytest.approx(plain.curves["null"].error, rel=1e-9)


net_, params_, x_, y_ = case(20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: planner.plan_network(net_, params_, x_, np.ones((20, 2)) + y_), "has 1 outputs and the labels have 2"),
        (lambda: planner.plan_network(net_, params_, x_, y_[:-1]), "one label a row"),
        (lambda: planner.plan_network(net_, params_, x_, 0 * y_), "constant"),
        (lambda: planner.plan_network(net_, params_, x_, y_.astype(str)), "dtype"),
        (lambda: planner.plan_network(net_, params_, x_, y_ + 1j), "complex"),
        (lambda: planner.plan_network(net_, params_, x_, y_, classes=True), "integers"),
        (lambda: planner.plan_network(net_, params_, x_[:4], y_[:4]), "at least 8 rows"),
        (lambda: planner.plan_network(net_, params_, np.where(x_ == x_[3, 2], np.nan, x_), y_), r"inputs\[3, 2\]"),
        (lambda: planner.plan_network(net_, None, x_, y_), "params is None"),
        (lambda: planner.plan_network(3, params_, x_, y_), "model is int"),
        (lambda: planner.plan_network(net_, params_, x_, y_, num_samples=0), "num_samples = 0"),
        (lambda: planner.plan_network(net_, params_, x_, y_, sample_sizes=[np.nan]), "sample_sizes"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
