"""Protocols of one pair: the linear limit, the sampled variant of the exact one, statuses, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import _keys, ensemble, nonlinear, stats, theory
from tlx.nonlinear import MeanField, MultiLayer, NonlinearSetting
from tlx.nonlinear.curvature import largest_curvature
from tlx.train import Optimizer, Status

pytestmark = [pytest.mark.slow, pytest.mark.extended]

QUICK = Optimizer(0.1, 1500, momentum=0.9, tolerance=1e-3)
SMALL = {
    "num_teacher_neurons": 3,
    "sizes": (20, 60),
    "pretrain": Optimizer(0.1, 1500, momentum=0.9, tolerance=0.0),
    "scratch": QUICK,
    "fine_tune": QUICK,
    "cutoff": 1e-2,
}


def _prepare(shared, lane):
    setting, key = shared
    key = _keys.lane(key, lane["instance"])
    prepared, report = nonlinear.prepare(setting, key, lane["amount"])
    return (prepared, key), report


def _transfer(shared, prepared, index):
    return nonlinear.transfer(shared[0], prepared[1], prepared[0], index)


def _scratch(shared, lane):
    return nonlinear.from_scratch(shared[0], _keys.lane(shared[1], lane["instance"]), lane["index"])


def run(setting, key, instances, amount):
    """(pretraining, transfer with axes (instance, size), scratch with axes (instance, size))."""
    count, sizes = len(instances), np.arange(len(setting.sizes), dtype=np.int32)
    outer = {"instance": instances, "amount": np.full(count, amount, np.float32)}
    report, moved = ensemble.run_nested(_prepare, _transfer, outer, sizes, (setting, key))
    lanes = {"instance": np.repeat(instances, len(sizes)), "index": np.tile(sizes, count)}
    scratch = ensemble.run(_scratch, lanes, (setting, key))
    return report, moved, jax.tree.map(lambda leaf: leaf.reshape(count, -1), scratch)


def test_one_linear_neuron_reproduces_the_linear_study(key):
    """Width 1, depth 2, identity: all three methods have the risks of the linear theorems at the same angle."""
    angle, dim, noise = 0.9, 30, 0.2
    rule = Optimizer(0.1, 4000, momentum=0.9, tolerance=1e-5)
    setting = NonlinearSetting(
        MeanField(dim, 1, "linear", init_scale=1e-3),
        "rotation",
        1,
        "ones",
        "linear",
        sizes=(15, 60),
        noise_std=noise,
        pretrain=Optimizer(0.1, 1500, momentum=0.9, tolerance=0.0),
        scratch=rule,
        fine_tune=rule,
    )
    instances = np.arange(60, dtype=np.int32)
    report, moved, scratch = run(setting, key, instances, angle)
    assert np.max(report.source_loss) < 1e-5
    assert np.all(report.num_features == 1)
    assert np.allclose(report.out_of_space, np.sin(angle) ** 2, atol=1e-4)
    counts = np.array(setting.sizes)
    exact = {
        "scratch": theory.scratch_risk(counts / dim, noise, dim=dim),
        "linear": theory.linear_transfer_risk(angle, noise, num_samples=counts),
        "fine_tuning": theory.fine_tuning_risk(angle, counts / dim, noise, dim=dim),
    }
    measured = {"scratch": scratch.risk, "linear": moved.linear_transfer_risk, "fine_tuning": moved.fine_tuning_risk}
    for method, risks in measured.items():
        z = stats.z_score(stats.estimate(risks.T), np.asarray(exact[method]), resolution=1e-3)
        assert np.all(np.abs(z) < 4), (method, z)  # 6 numbers of 60 instances
    swapped = stats.z_score(stats.estimate(measured["fine_tuning"].T), np.asarray(exact["scratch"]))
    assert np.abs(swapped[0]) > 4  # the comparison can tell the methods apart


def test_relu_pair_has_every_method_and_its_predicted_floor(key):
    setting = NonlinearSetting(MeanField(8, 24), sizes=(20, 400), **{k: v for k, v in SMALL.items() if k != "sizes"})
    report, moved, scratch = run(setting, key, np.arange(6, dtype=np.int32), 1 / 3)
    assert np.max(report.source_loss) < 1e-3
    for risks in (moved.linear_transfer_risk, moved.fine_tuning_risk, moved.lp_ft_risk, scratch.risk):
        assert np.all(np.isfinite(risks))
    variance = (report.leverage + 0.2**2 * report.num_features) / (400 - report.num_features - 1)
    excess = stats.estimate(moved.linear_transfer_risk[:, 1] - report.out_of_space - variance)
    assert abs(stats.z_score(excess, np.zeros(()))) < 3
    assert np.all(moved.linear_transfer_risk[:, 1] > 0.9 * report.out_of_space)
    assert np.all(report.out_of_span <= report.out_of_space + 1e-5)


@pytest.mark.parametrize("pretraining", ["sample", "online"])
def test_a_finite_or_streamed_source_approaches_the_population_one(key, pretraining):
    arguments = {**SMALL, "pretrain": Optimizer(0.05, 3000, momentum=0.5, tolerance=0.0)}
    setting = NonlinearSetting(MeanField(6, 16), pretraining=pretraining, source_samples=2000, **arguments)
    _, report = jax.jit(lambda k: nonlinear.prepare(setting, k, 1 / 3))(key)
    assert report.source_loss < 0.02
    assert report.status <= Status.MAX_STEPS


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
def test_a_deep_network_of_any_activation_runs_every_method(key, precision):
    with jax.enable_x64(precision == "float64"):
        report, moved, scratch = _deep_network(key)
    assert report.source_loss.dtype == scratch.risk.dtype == precision
    assert np.all(report.source_loss < 0.3)
    assert np.all(moved.linear_transfer_risk[:, 1] < scratch.risk[:, 1])  # the source is the target
    assert np.all(moved.lp_ft_status <= Status.MAX_STEPS)


def _deep_network(key):
    adam = Optimizer(3e-3, 1000, name="adam", tolerance=0.0)
    model = MultiLayer(6, (12, 12), "tanh")
    arguments = {**SMALL, "pretrain": adam, "scratch": adam, "fine_tune": adam, "num_test": 2000}
    setting = NonlinearSetting(model, pretraining="online", **arguments)
    return run(setting, key, np.arange(2, dtype=np.int32), 0.0)


def test_divergence_is_a_status_and_a_missing_number(key):
    arguments = {**SMALL, "pretrain": Optimizer(1e4, 200, tolerance=0.0)}
    setting = NonlinearSetting(MeanField(6, 16), **arguments)
    report, moved, _ = run(setting, key, np.arange(1, dtype=np.int32), 0.0)
    assert report.status[0] == Status.DIVERGED
    assert np.all(np.isnan(moved.linear_transfer_risk))


def test_the_largest_curvature_is_that_of_the_hessian(x64, key):
    matrix = jax.random.normal(key, (5, 5))
    matrix = matrix @ matrix.T
    found = largest_curvature(lambda w: 0.5 * w @ matrix @ w, jnp.arange(1.0, 6.0))
    assert jnp.allclose(found, jnp.linalg.eigvalsh(matrix)[-1], rtol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": MeanField(6, 8, "gelu")}, r"population.*gelu.*online"),
        ({"model": MultiLayer(6, (8, 8))}, r"population.*multilayer.*online"),
        ({"teacher_activation": "tanh"}, "teacher activation"),
        ({"cutoff": 1.0}, r"cutoff = 1\.0.*\[0, 1\)"),
        ({"cutoff": -0.1}, "cutoff"),
        ({"sizes": ()}, "no target sample"),
        ({"sizes": (20, 10)}, "increase"),
        ({"pretraining": "oracle"}, "oracle"),
        ({"num_teacher_neurons": 0}, "teacher neurons = 0"),
    ],
)
def test_bad_settings_are_refused_before_any_compute(change, message):
    with pytest.raises(ValueError, match=message):
        NonlinearSetting(**{"model": MeanField(6, 8), **change})
