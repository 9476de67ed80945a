"""One program of two processes: whatever ends one of them ends the other soon, and nothing is marked failed for it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.extended]

ROOT = Path(__file__).resolve().parents[2]
STUDY = ["experiments.scratch_risk", "task.dim=12", "grid.sample_ratios=[0.5,1.5]", "ensemble.num_instances=4"]
STUDY += ["ensemble.instances_per_unit=1", "figures=[]", "optimizer.tolerance=0"]
QUICK, LONG = ["optimizer.num_steps=200"], ["optimizer.num_steps=200000"]


@pytest.fixture
def pair(tmp_path):
    """Starts two processes of one program that computes into tmp_path/out; none outlives the test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    started = []

    def start(*words, only=None):
        for i in range(2):
            place = [f"hydra.run.dir={tmp_path / 'out'}", "distributed.enabled=true", "distributed.num_processes=2"]
            place += [f"distributed.coordinator=127.0.0.1:{port}", f"distributed.process_id={i}"]
            extra = (only or {}).get(i, [])
            command = [sys.executable, "-m", *STUDY, *words, *place, *extra]
            kind = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **kind))
        return started

    yield start
    for process in started:
        process.kill()
        process.communicate()


def status(directory):
    return json.loads((directory / "out/status.json").read_text())


def computing(directory, processes, units=1):
    """Wait until some units are finished and another one is claimed."""
    end = time.monotonic() + 300
    units_directory = directory / "out/units"
    while len(list(units_directory.glob("*.json"))) < units or not list(units_directory.glob("*.claim")):
        assert all(process.poll() is None for process in processes), [p.communicate() for p in processes]
        assert time.monotonic() < end, "too slow"
        time.sleep(0.05)


def ended(processes, seconds):
    """Their exit codes and what they said, at most so many seconds from now; the slowest one's time."""
    begin = time.monotonic()
    out = [process.communicate(timeout=seconds) for process in processes]
    assert time.monotonic() - begin < seconds
    return [process.returncode for process in processes], [err for _, err in out]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_stop_of_either_process_dismisses_both(pair, tmp_path, victim):
    processes = pair(*LONG)
    computing(tmp_path, processes)
    processes[victim].send_signal(signal.SIGTERM)
    codes, said = ended(processes, 10)
    assert codes == [143, 143], said
    assert "Traceback" not in "".join(said)
    assert status(tmp_path)["state"] == "stopped by SIGTERM"
    assert not list((tmp_path / "out/units").glob("*.claim")) + list((tmp_path / "out/units").glob("*.failed"))


def test_a_dead_follower_ends_the_program_and_is_named(pair, tmp_path):
    processes = pair(*LONG)
    computing(tmp_path, processes)
    processes[1].kill()
    (code, _), (said, _) = ended(processes, 30)
    assert code == 1, said
    assert "process 1 of 2" in said
    assert f"process {processes[1].pid}" in said
    assert not list((tmp_path / "out/units").glob("*.claim")) + list((tmp_path / "out/units").glob("*.failed"))
    assert not status(tmp_path)["failed"]
    assert status(tmp_path)["state"] != "running"


def test_a_stopped_follower_ends_the_program(pair, tmp_path):
    processes = pair(*LONG)
    computing(tmp_path, processes)
    processes[1].send_signal(signal.SIGSTOP)
    (code,), (said,) = ended(processes[:1], 30)
    assert code == 1, said
    assert "process 1 of 2" in said


def test_a_dead_leader_ends_the_follower(pair, tmp_path):
    """By JAX itself, whose coordination service was in that process; it aborts and names nobody."""
    processes = pair(*LONG)
    computing(tmp_path, processes)
    processes[0].kill()
    (code,), _ = ended(processes[1:], 30)
    assert code != 0
    assert status(tmp_path)["pid"] == processes[0].pid  # the follower wrote nothing


def test_a_stopped_leader_ends_the_follower(pair, tmp_path):
    processes = pair(*LONG)
    computing(tmp_path, processes)
    processes[0].send_signal(signal.SIGSTOP)
    (code,), (said,) = ended(processes[1:], 30)
    assert code == 1, said
    assert "process 0 of 2" in said
    assert f"process {processes[0].pid}" in said
    assert status(tmp_path)["pid"] == processes[0].pid  # the follower wrote nothing


def test_an_error_of_the_leader_dismisses_the_follower(pair, tmp_path):
    processes = pair(*LONG)
    computing(tmp_path, processes)
    shutil.rmtree(tmp_path / "out/units")
    (tmp_path / "out/units").write_text("no directory any more")
    end = time.monotonic() + 300
    while processes[0].poll() is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    codes, said = ended(processes, 10)
    assert codes == [2, 2], said
    assert "could not be written" in said[0]
    assert "Traceback" not in "".join(said)


def test_a_refusal_of_the_leader_dismisses_the_follower(pair, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/summary.json").write_text('{"identity": "of another configuration"}')
    processes = pair(*QUICK)
    end = time.monotonic() + 300
    while processes[0].poll() is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    codes, said = ended(processes, 10)
    assert codes[0] == 2, said
    assert codes[1] in (1, 2), said
    assert "already holds the results of another configuration" in said[0]


def test_two_processes_finish_when_nothing_happens(pair, tmp_path):
    codes, said = ended(pair(*QUICK), 240)
    assert codes == [0, 0], said
    assert status(tmp_path)["state"] == "finished"
    assert status(tmp_path)["computed"] == 8
