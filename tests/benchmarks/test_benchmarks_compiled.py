"""Lane programs lower for GPUs and TPUs, without communication or loops over lanes; small ones compile for a TPU."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cards, compiled
from benchmarks.lane_programs import PROGRAMS, program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_lowers_for_gpus_and_tpus(name):
    found = {target: compiled.report(target, name, "small", 7, lower_only=True) for target in compiled.LOWERED}
    for target, row in found.items():
        assert row["collectives"] == {}
        assert row["loops_over_lanes"] == 0
        assert row["loops"] > 0  # training, or the root of an endpoint
        assert all("solver" in call if target == "cuda" else call == "Eigh" for call in row["custom_calls"])
    steps = found["tpu"]["steps_per_pair"]
    assert (steps == 0) == (name == "flow")
    if steps:
        least, bound = found["tpu"]["least_bytes_per_step"], found["tpu"]["bounds"]["TPU v5e"]
        assert bound["microseconds_per_step"] == pytest.approx(1e6 * least / cards.CARDS["v5e"].bandwidth)
        hours = bound["hours_per_million_pairs"]
        assert hours["1"] == pytest.approx(steps * bound["microseconds_per_step"] / 3600)
        assert hours["256"] == pytest.approx(hours["1"] / 256)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spectral", "flow"])
def test_no_engine_takes_the_lanes_of_a_tpu_one_after_another_at_the_published_dimension(name):
    row = compiled.report("tpu", name, "paper", 61, lower_only=True)
    assert program(name, "paper").shared[0][0].dim == 500
    assert row["loops_over_lanes"] == 0
    assert set(row["custom_calls"]) == {"Eigh"}


def test_loops_over_lanes_and_communication_are_seen():
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    def text(function, *shape):
        abstract = jax.ShapeDtypeStruct(shape, jnp.float32)
        return jax.jit(function).trace(abstract).lower(lowering_platforms=("tpu",)).as_text()

    assert compiled.loops_over_lanes(text(lambda x: jax.lax.map(jnp.sin, x), 7, 3), 7) == 1
    assert compiled.loops_over_lanes(text(lambda x: jax.lax.map(jnp.sin, x), 21, 3), 7) == 1
    assert compiled.loops_over_lanes(text(lambda x: jax.lax.map(jnp.sin, x), 8, 3), 7) == 0
    assert compiled.loops_over_lanes(text(jax.vmap(jnp.linalg.eigh), 7, 300, 300), 7) > 0  # what the engines avoid
    mesh = jax.make_mesh((2,), ("lanes",), devices=jax.local_devices()[:2])
    split = NamedSharding(mesh, PartitionSpec("lanes"))
    added = jax.jit(lambda x: x.sum()).lower(jax.ShapeDtypeStruct((8,), jnp.float32, sharding=split)).compile()
    assert compiled.collectives(added.as_text()) == {"all-reduce": 1}


@pytest.mark.slow
def test_a_step_is_counted_by_the_compiler_and_moves_no_less_than_it_must(capsys):
    assert (
        compiled.main(["--target", "cpu", "--program", "spectral", "--scale", "small", "--lanes", "7", "--json"]) == 0
    )
    (row,) = json.loads(capsys.readouterr().out)
    assert row["bytes_per_step"] >= row["least_bytes_per_step"] == 4 * (2 * (16 + 1) + 16 + 16 + 1)
    assert row["peak_bytes"] > 0
    assert row["bounds"] == {}  # a CPU's limits are measured, not published
    table = "\n".join(compiled.lines([row]))
    assert "| cpu | spectral | small | 7 |" in table


def test_an_unknown_target_is_one_sentence(capsys):
    assert compiled.main(["--target", "v99:2x2", "--scale", "small", "--program", "flow"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: topology 'v99:2x2' cannot be compiled for here")
    assert "v5e:2x2" in err


@pytest.mark.parametrize(("gpu", "numbers"), [("h100", (132, 128, 3.35e12, 9)), ("a100", (108, 64, 2.04e12, 8))])
def test_a_gpu_is_described_as_published(gpu, numbers):
    text = cards.described(gpu)
    count, units, bandwidth, capability = numbers
    for line in (f"core_count: {count}", f"fpus_per_core: {units}", f"memory_bandwidth: {bandwidth:.0f}"):
        assert f"  {line}\n" in text
    assert f"cuda_compute_capability {{ major: {capability} }}" in text
    assert text.count("{") == text.count("}")


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("gpu", cards.MULTIPROCESSORS)
def test_a_small_program_compiles_for_a_gpu_that_is_not_there(gpu):
    command = [sys.executable, "-m", "benchmarks.compiled", "--target", gpu, "--scale", "small", "--json"]
    done = subprocess.run([*command, "--program", "spectral"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 2:
        assert done.stderr.count("\n") == 1
        assert "install JAX's plugin for CUDA" in done.stderr
        pytest.skip("JAX's plugin for CUDA is not installed, so nothing can be compiled for a GPU (the extra cuda)")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["device"] == cards.CARDS[gpu].name
    assert (row["collectives"], row["loops_over_lanes"]) == ({}, 0)
    assert 0 < row["peak_bytes"] < 1e9


@pytest.mark.slow
def test_a_small_program_compiles_for_a_tpu():
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed, so nothing can be compiled for a TPU (pip install libtpu)")
    command = [sys.executable, "-m", "benchmarks.compiled", "--target", "v5e:2x2", "--scale", "small", "--json"]
    done = subprocess.run([*command, "--lanes", "7"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for row in json.loads(done.stdout):
        assert row["device"] == "TPU v5 lite"
        assert row["collectives"] == {}
        assert 0 < row["peak_bytes"] < 1e9
