"""Kept programs: used again, shared by many processes, damaged, too many, and a folder that cannot be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.running import cache as _cache

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys, warnings
warnings.simplefilter("error")
from experiments.running.cache import use_compilation_cache
said, options = [], json.loads(sys.argv[1])
cache = use_compilation_cache(say=said.append, **options)
import jax, jax.numpy as jnp
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event.endswith("cache_hits")))
value = float(jax.jit(lambda x: jnp.tanh(x @ x).sum())(jnp.eye(8)))
private = cache and str(cache.private)
print(json.dumps({"hits": sum(hits), "said": said, "value": value, "private": private, "on": cache is not None}))
"""


def start(directory, **options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    options = json.dumps({"directory": str(directory), **options})
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, options], cwd=ROOT, env={**environment, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def entries(directory):
    return sorted(path for path in directory.glob("jax-*/*"))


@pytest.mark.slow
def test_a_second_run_compiles_nothing_and_a_damaged_entry_is_made_again(tmp_path):
    first = ended(start(tmp_path))
    kept = entries(tmp_path)
    assert (first["hits"], first["said"]) == (0, [])
    assert kept
    assert not Path(first["private"]).exists()  # nothing is left on the node
    second = ended(start(tmp_path))
    assert second["hits"] == len(kept)
    assert (second["value"], second["said"]) == (first["value"], [])
    kept[0].write_bytes(kept[0].read_bytes()[:-7])
    third = ended(start(tmp_path))
    assert len(third["said"]) == 1
    assert "damaged" in third["said"][0]
    assert third["hits"] == len(kept) - 1
    assert entries(tmp_path) == kept  # and is sound again
    assert ended(start(tmp_path))["hits"] == len(kept)


@pytest.mark.slow
@pytest.mark.parametrize("count", [8, pytest.param(20, marks=pytest.mark.extended)])
def test_many_processes_share_a_cold_cache(tmp_path, count):
    found = [ended(process) for process in [start(tmp_path) for _ in range(count)]]
    assert len({f["value"] for f in found}) == 1
    assert not any(f["said"] for f in found)
    names = [path.name.rpartition(".")[0] for path in entries(tmp_path)]
    assert not any(name.startswith(".") for name in names)  # nothing half-written stays
    for path in entries(tmp_path):
        assert path.name.endswith(_cache._digest(path.read_bytes()))
    assert ended(start(tmp_path))["hits"] == len(set(names))


@pytest.mark.slow
def test_the_folder_stays_within_its_bound(tmp_path):
    ended(start(tmp_path))
    size = max(path.stat().st_size for path in entries(tmp_path))
    other = tmp_path / "jax-0.0.1" / "old.0"
    other.parent.mkdir()
    other.write_bytes(b"x" * size)
    os.utime(other, (1, 1))
    for path in entries(tmp_path):
        if path != other:
            path.unlink()
    ended(start(tmp_path, max_bytes=2 * size - 1))
    assert sum(path.stat().st_size for path in entries(tmp_path)) < 2 * size
    assert not other.exists()  # of another version, and the oldest


def test_a_folder_that_cannot_be_used_is_one_line_and_no_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    found = ended(start(tmp_path / "file"))
    assert not found["on"]
    assert len(found["said"]) == 1
    assert "turn the cache off" in found["said"][0]


def test_a_disk_that_fills_up_is_one_line(tmp_path, monkeypatch):
    said = []
    cache = _cache.Cache.__new__(_cache.Cache)
    cache.shared, cache.private, cache.root = tmp_path / "jax-x", tmp_path / "own", tmp_path
    cache.kept, cache.failed, cache.say, cache.lock = set(), False, said.append, _cache.threading.Lock()
    cache.shared.mkdir()
    cache.private.mkdir()
    for name in ("a-cache", "b-cache"):
        (cache.private / name).write_bytes(b"program")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_cache.os, "replace", full)
    cache.publish()
    (cache.private / "c-cache").write_bytes(b"program")
    cache.publish()
    assert len(said) == 1
    assert "No space left" in said[0]
    assert list(cache.shared.iterdir()) == []


def test_what_killed_processes_left_is_removed(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    for process in (gone.pid, os.getpid()):
        (tmp_path / f"{_cache._prefix()}{process}-abc").mkdir()
    _cache._remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{_cache._prefix()}{os.getpid()}-abc"]
