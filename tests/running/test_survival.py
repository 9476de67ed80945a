"""Killed, interrupted, started twice: nothing is lost that was finished, nothing half-written is believed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_study
import xarray as xr

from experiments.running import checkpoint as _checkpoint
from experiments.running.checkpoint import Journal

pytestmark = [pytest.mark.slow, pytest.mark.extended]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds for a process to start on a busy machine


def start(directory, **changes):
    """The toy study in a process of its own, which counts lanes in DIR/count."""
    changes = {"count_file": directory / "count", "ensemble__devices": 1, **changes}
    command = [sys.executable, str(ROOT / "tests/running/toy_study.py"), str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(
        command + [f"{key}={value}" for key, value in changes.items()],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def counted(directory):
    path = directory / "count"
    return path.stat().st_size if path.exists() else 0


def wait_for(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "too slow"
        time.sleep(0.01)


def finish(process, code=0):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, (out, err)
    return out + err


def risks(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.risk.values.copy()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the toy sweep of 2 units of 20 lanes gives when nothing happens to it."""
    directory = tmp_path_factory.mktemp("undisturbed")
    toy_study.run(directory, units=2, lanes=20)
    return risks(directory)


def claims(directory):
    return list((directory / "units").glob("*.claim"))


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR2, marks=pytest.mark.slow),
    ],
)
def test_a_signal_leaves_a_state_that_is_taken_up(tmp_path, undisturbed, signum):
    process = start(tmp_path, units=2, lanes=20, delay=0.05)
    wait_for(lambda: counted(tmp_path) >= 7, process)
    process.send_signal(signum)
    begin = time.monotonic()
    finish(process, 128 + signum)
    assert time.monotonic() - begin < 10
    assert not claims(tmp_path)
    assert len(list((tmp_path / "units").glob("*.partial"))) == 1
    assert json.loads((tmp_path / "status.json").read_text())["state"] == f"stopped by {signum.name}"
    toy_study.run(tmp_path, units=2, lanes=20, count_file=str(tmp_path / "count"))
    assert counted(tmp_path) == 40  # no lane was computed twice
    np.testing.assert_array_equal(risks(tmp_path), undisturbed)
    assert not list((tmp_path / "units").glob("*.partial"))


def test_a_call_that_does_not_end_is_abandoned_in_time(tmp_path):
    process = start(tmp_path, units=1, lanes=2, slow_call="true")
    wait_for(lambda: claims(tmp_path), process)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert "stopped before the running call had ended" in finish(process, 128 + signal.SIGTERM)
    assert time.monotonic() - begin < 10
    assert not claims(tmp_path)


def test_a_second_interrupt_ends_at_once(tmp_path):
    process = start(tmp_path, units=1, lanes=2, slow_call="true")
    wait_for(lambda: claims(tmp_path), process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None  # the first one waits for the call
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    finish(process, 128 + signal.SIGINT)
    assert time.monotonic() - begin < 2


def test_a_killed_process_costs_what_was_not_saved_and_no_more(tmp_path, undisturbed):
    process = start(tmp_path, units=2, lanes=20, delay=0.05, checkpoint__seconds=0)
    wait_for(lambda: counted(tmp_path) >= 27, process)
    process.kill()
    process.communicate()
    done = counted(tmp_path)
    toy_study.run(tmp_path, units=2, lanes=20, count_file=str(tmp_path / "count"))
    assert counted(tmp_path) <= 40 + 1
    assert done >= 27
    np.testing.assert_array_equal(risks(tmp_path), undisturbed)


def test_two_processes_share_a_sweep(tmp_path):
    both = [start(tmp_path, units=12, lanes=3, delay=0.05) for _ in range(2)]
    out = [finish(process) for process in both]
    assert counted(tmp_path) == 36, out  # nothing computed twice
    assert np.isfinite(risks(tmp_path)).all()
    assert not claims(tmp_path)


@pytest.mark.parametrize("damage", [lambda c: c[:-3], lambda c: c[:100] + b"?" + c[101:], lambda c: b""])
def test_a_damaged_checkpoint_is_not_believed(tmp_path, damage):
    path = tmp_path / "u.partial"
    journal = Journal(path, 0.0)
    journal.keep(0, [[np.arange(3.0)], [np.arange(2.0)]])
    (found,) = Journal(path, 0.0).resume(0)
    np.testing.assert_array_equal(found, [0, 1, 2, 0, 1])
    path.write_bytes(damage(path.read_bytes()))
    assert Journal(path, 0.0).resume(0) is None


def test_a_checkpoint_waits_for_its_interval(tmp_path):
    journal = Journal(tmp_path / "u.partial", 100.0)
    journal.keep(0, [[np.arange(3.0)]])
    assert not journal.path.exists()
    journal.save()
    assert journal.path.exists()
    never = Journal(tmp_path / "v.partial", None)
    never.keep(0, [[np.arange(3.0)]])
    never.save()
    assert not never.path.exists()


def test_a_checkpoint_does_not_wait_for_a_call_that_would_end_too_late(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_checkpoint.time, "monotonic", lambda: now[0])
    journal = Journal(tmp_path / "u.partial", 60.0)
    written = []
    for now[0] in (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 95.0):
        journal.keep(0, [[np.arange(3.0)]])
        written.append(journal.written)
    assert written == [False, False, False, False, True, False, True]
