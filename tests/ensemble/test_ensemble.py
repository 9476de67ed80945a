"""A lane is the same alone and in any batch, chunk, or number of devices.

A lane here is two small training runs on one drawn sample, so that its program compiles in a second; whole lanes of
the engine that trains most are compared once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import _keys, ensemble
from tlx.linear import data
from tlx.linear.engines import engine
from tlx.linear.engines.full import start
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer, Status, train

FULL = engine("full")
SETTING = LinearSetting(
    dim=12,
    noise_std=0.3,
    source_samples=20,
    pretrain=Optimizer(0.05, 400, tolerance=0.0),
    scratch=Optimizer(0.05, 300, tolerance=0.0),
    fine_tune=Optimizer(0.02, 300, tolerance=0.0),
)
OUTER = {"instance": np.arange(7, dtype=np.int32), "num_samples": np.array([4, 6, 8, 9, 18, 20, 30], np.int32)}
ANGLES = np.linspace(0.2, 1.5, 3)
ROUNDING = {"rtol": 2e-4, "atol": 2e-5}  # 1,100 float32 steps: about 1e3 * eps
TASK, ONES, RULE = np.eye(12, dtype=np.float32)[0], np.ones(12, np.float32), Optimizer(0.05, 300, tolerance=0.0)


class Report(NamedTuple):
    risk: jax.Array
    status: jax.Array


def prepare(shared, lane):
    key = _keys.lane(shared, lane["instance"])
    sample = data.sample_moments(key, jnp.asarray(TASK), jnp.asarray(ONES), 0.3, lane["num_samples"])
    return sample, transfer(shared, sample, np.float32(np.pi / 2))


def transfer(shared, sample, angle):
    begin = jnp.asarray(TASK) * jnp.cos(angle) + jnp.asarray(np.roll(TASK, 1)) * jnp.sin(angle)
    found = train(lambda weights: data.squared_loss(weights, sample), begin, RULE)
    return Report(jnp.sum((found.params - TASK) ** 2), found.status)


def grid(layout=None, outer=OUTER, angles=ANGLES, seed=3, **kwargs):
    return ensemble.run_nested(prepare, transfer, outer, angles, jax.random.key(seed), layout=layout, **kwargs)


def whole_prepare(shared, lane):
    setting, key = shared
    return FULL.prepare(setting, _keys.lane(key, lane["instance"]), lane["num_samples"])


def whole_transfer(shared, prepared, angle):
    return FULL.transfer(shared[0], prepared, angle)


@pytest.fixture(scope="module")
def reference():
    return grid()


def assert_same(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, **ROUNDING)


@pytest.mark.parametrize(
    ("devices", "together", "per_call"), [(1, 1, 1), (2, 1, 1), (2, 1, 3), (1, 7, 7), (2, 2, 4), (1, 3, 3)]
)
def test_layout_changes_no_number(reference, devices, together, per_call):
    layout = ensemble.make_layout(7, devices=tuple(jax.local_devices()[:devices]), together=together, per_call=per_call)
    assert len(layout.devices) == devices
    assert_same(grid(layout), reference)


@pytest.mark.extended
def test_layout_changes_no_number_of_a_whole_engine():
    def whole(layout):
        shared = SETTING, jax.random.key(3)
        return ensemble.run_nested(whole_prepare, whole_transfer, OUTER, ANGLES, shared, layout=layout)

    one = tuple(jax.local_devices()[:1])
    assert_same(
        whole(ensemble.make_layout(7, together=2, per_call=4)),
        whole(ensemble.make_layout(7, devices=one, together=1, per_call=1)),
    )


def test_one_lane_alone_is_the_lane_of_the_batch(reference):
    for lane in (0, 4):
        alone = grid(outer={name: values[lane : lane + 1] for name, values in OUTER.items()}, angles=ANGLES[1:2])
        assert_same(alone[0], jax.tree.map(lambda a, lane=lane: a[lane : lane + 1], reference[0]))
        assert_same(alone[1], jax.tree.map(lambda a, lane=lane: a[lane : lane + 1, 1:2], reference[1]))


def test_order_of_the_grid_changes_no_number(reference):
    turned = grid(outer={name: values[::-1] for name, values in OUTER.items()})
    assert_same(jax.tree.map(lambda a: a[::-1], turned), reference)


def test_same_seed_same_numbers_bit_for_bit_and_another_seed_others(reference):
    for a, b in zip(jax.tree.leaves(grid()), jax.tree.leaves(reference), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(grid(seed=4)[0].risk, reference[0].risk)


@pytest.mark.slow
def test_instances_differ_in_data_and_in_initial_weights():
    key = jax.random.key(0)
    one, two = (FULL.prepare(SETTING, _keys.lane(key, i), 10)[0] for i in (0, 1))
    assert not np.allclose(one.moments.covariance, two.moments.covariance)
    first, second = (start(SETTING, _keys.lane(key, i))[0] for i in (0, 1))
    assert not np.allclose(first, second)


def test_progress_counts_lanes_to_the_end():
    seen = []
    grid(ensemble.make_layout(7, per_call=2), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 7), (7, 7)]


def test_a_diverged_lane_harms_no_other():
    def lane(shared, rate):
        result = train(lambda w: 3.0 * (w - 2.0) ** 2, jax.numpy.asarray(1.0), Optimizer(rate, 200))
        return result.params, result.status

    params, status = ensemble.run(lane, np.array([0.1, 5.0, 0.1]), layout=ensemble.make_layout(3, together=3))
    assert status.tolist() == [Status.CONVERGED, Status.DIVERGED, Status.CONVERGED]
    assert params[0] == params[2]
    assert np.isfinite(params[0])


def test_one_program_serves_every_sample_size():
    count = []

    def counting(shared, lane):
        count.append(1)
        return prepare(shared, lane)

    for samples in (5, 9, 31):
        ensemble.run_nested(
            counting,
            transfer,
            {"instance": np.arange(2, dtype=np.int32), "num_samples": np.full(2, samples, np.int32)},
            ANGLES,
            jax.random.key(0),
        )
    assert len(count) == 1


def test_a_result_without_entries_keeps_its_lanes():
    empty, full = ensemble.run(lambda _, x: (jax.numpy.zeros((0, 2)), x), np.arange(5.0, dtype=np.float32))
    assert empty.shape == (5, 0, 2)
    assert full.tolist() == [0, 1, 2, 3, 4]


def test_bad_layouts_are_refused():
    with pytest.raises(ValueError, match="devices"):
        ensemble.make_layout(3, devices=())
    with pytest.raises(ValueError, match="multiple"):
        ensemble.make_layout(3, together=2, per_call=3)
    with pytest.raises(ValueError, match="grid is empty"):
        ensemble.make_layout(0)
    with pytest.raises(ValueError, match="share one length"):
        ensemble.run(lambda s, x: x, {"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(RuntimeError, match="JAX_NUM_CPU_DEVICES=7"):
        ensemble.use_cpu_cores(7)


class Notebook:
    """A journal in memory, which may end the program after some calls."""

    def __init__(self, before=None, calls=None):
        self.before, self.calls, self.pieces = before or {}, calls, {}

    def resume(self, call):
        return self.before.get(call)

    def keep(self, call, pieces):
        self.pieces[call] = [np.concatenate(parts) for parts in zip(*pieces)]
        if self.calls is not None:
            self.calls -= 1
            if self.calls == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_run_goes_on_from_the_lanes_its_journal_holds(reference, calls):
    layout = ensemble.make_layout(7, devices=tuple(jax.local_devices()[:1]), per_call=2, together=1)
    whole = grid(layout)
    broken = Notebook(calls=calls)
    with pytest.raises(KeyboardInterrupt), ensemble.journal(broken):
        grid(layout)
    seen = []
    with ensemble.journal(Notebook(broken.pieces)):
        resumed = grid(layout, progress=lambda done, total: seen.append(done))
    assert seen[0] == min(2 * calls + 2, 7)  # nothing kept was computed again
    for a, b in zip(jax.tree.leaves(resumed), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_journal_that_holds_everything_computes_nothing(reference):
    first = Notebook()
    with ensemble.journal(first):
        grid()
    seen = []
    with ensemble.journal(Notebook(first.pieces)):
        again = grid(progress=lambda done, total: seen.append(done))
    assert seen == []
    assert_same(again, reference)


def test_lanes_of_another_kind_in_a_journal_are_computed_again(reference):
    """Another type, a leaf too few, or leaves of unequal length."""
    first = Notebook()
    with ensemble.journal(first):
        grid()
    kept = first.pieces[0]
    for wrong in ([leaf.astype(np.float16) for leaf in kept], kept[:-1], [kept[0][:2], *kept[1:]]):
        seen = []
        with ensemble.journal(Notebook({0: wrong})):
            again = grid(progress=lambda done, total, seen=seen: seen.append(done))
        assert seen[-1] == 7
        assert_same(again, reference)


def test_a_rehearsal_has_the_shapes_and_computes_nothing(reference):
    seen = []
    with ensemble.rehearsal() as found:
        shadow = grid(progress=lambda done, total: seen.append(done))
    assert seen == []
    for a, b in zip(jax.tree.leaves(shadow), jax.tree.leaves(reference), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert not a.any()
    assert found[0].lanes == 7
    assert found[0].bytes_per_call > 12 * 12 * 4  # at least one weight matrix


@pytest.mark.slow
def test_memory_is_obeyed_by_the_compiled_program(reference):
    one = tuple(jax.local_devices()[:1])

    def bytes_of(layout):
        with ensemble.rehearsal() as found:
            grid(layout)
        return found[0]

    wide = bytes_of(ensemble.make_layout(7, devices=one, together=7))
    narrow = bytes_of(ensemble.make_layout(7, devices=one, together=1))
    assert wide.bytes_per_call > 2 * narrow.bytes_per_call
    limit = (wide.bytes_per_call + narrow.bytes_per_call) // 2
    layout = ensemble.make_layout(7, devices=one, together=7, memory=limit)
    fitted = bytes_of(layout)
    assert 1 < fitted.layout.together < 7
    assert fitted.bytes_per_call <= limit
    assert_same(grid(layout), reference)
    with pytest.raises(ValueError, match=r"one lane takes .* GB .*ensemble.memory_gb"):
        grid(ensemble.make_layout(7, devices=one, together=7, memory=narrow.bytes_per_call // 2))
