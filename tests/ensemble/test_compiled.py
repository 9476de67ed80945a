"""Programs of lanes from shapes alone: memory is obeyed, devices need not exist, compilers that find no room shrink."""

import importlib.util
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx import ensemble
from tlx.ensemble import compiled as _compiled
from tlx.ensemble import layout as _layout

LANES = np.arange(48.0, dtype=np.float32)


def lane(shared, x):
    """A lane whose working memory is a 32 x 32 matrix that cannot be fused away."""
    matrix = x * jnp.eye(32) + shared
    return jnp.linalg.eigh(matrix)[0][-1]


SHARED = np.ones((32, 32), np.float32)


@pytest.fixture
def one():
    return tuple(jax.local_devices()[:1])


def test_a_program_compiled_from_shapes_is_the_one_that_runs(one):
    layout = ensemble.make_layout(4, devices=one, together=4, per_call=4)
    program = ensemble.compile_lanes(lane, LANES, SHARED, layout=layout)  # of 48 lanes, four a call
    found = program(jax.tree.leaves((SHARED, LANES[:4], np.int32(1))))
    np.testing.assert_allclose(found, ensemble.run(lane, LANES[:4], SHARED, layout=layout), rtol=1e-6)
    assert ensemble.peak_bytes(program) >= 4 * SHARED.nbytes


def test_a_tenth_of_the_memory_shrinks_and_changes_no_number(one):
    wide = ensemble.make_layout(48, devices=one, together=48)
    needed = ensemble.peak_bytes(ensemble.compile_lanes(lane, LANES, SHARED, layout=wide))
    tight = ensemble.make_layout(48, devices=one, together=48, memory=needed // 10)
    fitted, _ = _compiled.fitted(lane, tight, SHARED, LANES)
    assert 1 <= fitted.together < 48 // 8
    np.testing.assert_allclose(
        ensemble.run(lane, LANES, SHARED, layout=tight), ensemble.run(lane, LANES, SHARED, layout=wide), rtol=1e-5
    )


@pytest.mark.parametrize("memory", [None, 10**9])
def test_a_compiler_that_finds_no_room_halves_the_lanes(monkeypatch, one, memory):
    asked, real = [], _compiled.compile_lanes

    def small(function, lanes, shared=None, *, layout):
        asked.append(layout.per_call)
        if layout.per_call > 5:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem")
        return real(function, lanes, shared, layout=layout)

    monkeypatch.setattr(_compiled, "compile_lanes", small)
    layout = _layout.Layout(one, 16, 16, memory)
    fitted, _ = _compiled._fit(lane, layout, SHARED, LANES)
    assert asked == [16, 8, 4]
    assert (fitted.together, fitted.per_call) == (4, 4)


def test_other_faults_of_a_compiler_are_not_hidden_and_a_lane_that_never_fits_is_named(monkeypatch, one):
    def fails(message):
        def compile_(*_, **__):
            raise jax.errors.JaxRuntimeError(message)

        monkeypatch.setattr(_compiled, "compile_lanes", compile_)

    layout = _layout.Layout(one, 4, 4)
    fails("INTERNAL: no such instruction")
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        _compiled._fit(lane, layout, SHARED, LANES)
    fails("RESOURCE_EXHAUSTED: vmem")
    with pytest.raises(ValueError, match=r"one lane takes more than a device has.*smaller"):
        _compiled._fit(lane, layout, SHARED, LANES)


def device(platform, stats):
    def memory_stats():
        if isinstance(stats, Exception):
            raise stats
        return stats

    return types.SimpleNamespace(platform=platform, memory_stats=memory_stats)


def test_memory_of_accelerators_is_asked_for_once_and_may_be_unknown():
    pool = {"bytes_limit": 60 * 10**9}  # JAX's own three quarters of an 80 GB card
    assert ensemble.make_layout(9, devices=(device("gpu", pool),)).memory == pytest.approx(57e9)
    assert ensemble.make_layout(9, devices=(device("tpu", {"bytes_limit": 10**10}),)).memory == pytest.approx(9e9)
    for stats in (None, {}, jax.errors.JaxRuntimeError("UNIMPLEMENTED"), NotImplementedError()):
        layout = ensemble.make_layout(9, devices=(device("tpu", stats),))
        assert (layout.memory, layout.together) == (None, 9)


def test_several_processes_share_calls_of_many_lanes(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    cores = (device("cpu", None),) * 4
    assert ensemble.make_layout(1000, devices=cores)[1:] == (1, 64, None, False)
    assert ensemble.make_layout(10, devices=cores)[1:] == (1, 3, None, False)


def test_unknown_topologies_are_one_sentence(monkeypatch):
    def refuse(**_):
        raise RuntimeError("Unknown topology\nwith a trace")

    monkeypatch.setattr(_compiled.topologies, "get_topology_desc", refuse)
    with pytest.raises(ValueError, match=r"topology 'v9z:3' cannot be compiled for here \(Unknown topology\).*v5e:2x2"):
        ensemble.devices_of("v9z:3")
    with pytest.raises(ValueError, match="JAX's plugin for CUDA"):
        ensemble.devices_of("cuda:1")


def test_one_group_a_call_has_no_loop_over_groups(one):
    def whiles(together, per_call):
        layout = ensemble.make_layout(8, devices=one, together=together, per_call=per_call)
        text = ensemble.lower_lanes(lambda _, x: jnp.sin(x), LANES, layout=layout, platform="tpu").as_text()
        return text.count("stablehlo.while")

    assert (whiles(4, 4), whiles(1, 1), whiles(4, 8), whiles(1, 8)) == (0, 0, 1, 1)


def test_only_cpus_turn_relu_neurons_behind_a_barrier():
    from tlx.networks import mean_field

    network = mean_field.TwoLayer(jnp.ones((5, 3)), jnp.ones(5))

    step = jax.vmap(jax.grad(lambda w, x: mean_field.apply(w, x, "relu").sum()), (None, 0))
    traced = jax.jit(step).trace(network, jnp.ones((2, 4, 3)))
    barrier = {p: "optimization_barrier" in traced.lower(lowering_platforms=(p,)).as_text() for p in ("cuda", "tpu")}
    assert barrier == {"cuda": False, "tpu": False}
    here = traced.lower()
    assert "optimization_barrier" in here.as_text()
    assert "conditional(" not in here.compile().as_text()  # the choice is made before anything runs


@pytest.mark.slow
def test_a_tenth_of_the_memory_shrinks_for_a_tpu_too():
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed, so nothing can be compiled for a TPU (pip install libtpu)")

    def product(shared, x):
        once = jnp.tanh(x * shared) @ shared
        return once @ once

    chip, shared = ensemble.devices_of("v5e:2x2")[:1], np.ones((256, 256), np.float32)
    wide = ensemble.make_layout(48, devices=chip, together=48)
    needed = ensemble.peak_bytes(ensemble.compile_lanes(product, LANES, shared, layout=wide))
    assert needed > 48 * shared.nbytes  # each lane returns a matrix of its own
    tight = ensemble.make_layout(48, devices=chip, together=48, memory=needed // 10)
    fitted, _ = _compiled.fitted(product, tight, shared, LANES)
    assert 1 <= fitted.together < 48 // 8
