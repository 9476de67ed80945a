"""status.json is true at all times: while a job runs, however it ends, and after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_study

from experiments.running import multirun, status
from experiments.running.claims import me
from experiments.running.status import Status, standing

ROOT = Path(__file__).resolve().parents[2]


def start(directory, drawing=0, **changes):
    """The toy study in a process of its own, whose figures take so many seconds."""
    command = [sys.executable, str(ROOT / "tests/running/toy_study.py"), str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"}
    environment["TOY_DRAWING_SECONDS"] = str(drawing)
    words = [f"{key}={value}" for key, value in changes.items()]
    kind = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command + words, env=environment, **kind)


def state(directory):
    return standing(directory / "status.json").get("state", "none")


def reached(directory, wanted, process):
    end = time.monotonic() + 90
    while state(directory) != wanted:
        assert process.poll() is None, (state(directory), process.communicate())
        assert time.monotonic() < end, state(directory)
        time.sleep(0.02)


@pytest.fixture
def written(monkeypatch):
    """The states that were written, with whether results and figures were there by then."""
    seen, write = [], Status._write

    def watched(self):
        seen.append((self.facts["state"], (self.path.parent / "summary.json").exists()))
        write(self)

    monkeypatch.setattr(Status, "_write", watched)
    return seen


def test_the_states_of_a_job_in_order(tmp_path, written):
    toy_study.run(tmp_path, figures=["values"])
    states = [("starting", False), ("running", False), ("drawing", False), ("finished", True)]
    assert list(dict.fromkeys(written)) == states


def test_failed_in_part_and_failed(tmp_path, written, monkeypatch):
    with pytest.raises(Exception, match="failed"):
        toy_study.run(tmp_path, broken=1)
    assert written[-1] == ("failed in part", True)
    assert not (tmp_path / "traceback.txt").exists()  # the unit has its own

    def draw(data):
        raise MemoryError("no room")

    monkeypatch.setitem(toy_study.Toy.figures, "values", draw)
    with pytest.raises(MemoryError):
        toy_study.run(tmp_path, figures=["values"])
    facts = standing(tmp_path / "status.json")
    assert (facts["state"], facts["error"]) == ("failed", "MemoryError: no room")
    assert "no room" in (tmp_path / "traceback.txt").read_text()
    monkeypatch.undo()
    toy_study.run(tmp_path, figures=["values"])
    assert state(tmp_path) == "finished"
    assert not (tmp_path / "traceback.txt").exists()


def test_a_shard_that_is_not_the_last_says_so(tmp_path):
    toy_study.run(tmp_path, shard__index=1, shard__count=2)
    assert standing(tmp_path / "status-1.json")["state"] == "finished its shard"
    toy_study.run(tmp_path, shard__index=0, shard__count=2)
    assert standing(tmp_path / "status-0.json")["state"] == "finished"


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_an_interrupted_figure(tmp_path, signum):
    process = start(tmp_path, drawing=60, figures="[values]")
    reached(tmp_path, "drawing", process)
    time.sleep(0.5)
    process.send_signal(signum)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + signum, said
    assert state(tmp_path) == f"stopped by {signum.name}"


@pytest.mark.slow
def test_an_abandoned_call(tmp_path):
    process = start(tmp_path, units=1, lanes=2, slow_call="true")
    reached(tmp_path, "running", process)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert state(tmp_path) == "stopped by SIGTERM"


def test_a_killed_job_is_known_as_such(tmp_path):
    process = start(tmp_path, delay=0.5)
    reached(tmp_path, "running", process)
    process.kill()
    process.communicate()
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "running"
    assert state(tmp_path) == "killed while running"


def test_who_cannot_be_asked_is_known_by_silence_and_boot(tmp_path):
    path = tmp_path / "status.json"
    for owner in ({"host": "elsewhere", "pid": 1}, {**me(), "boot": "an earlier one"}):
        path.write_text(json.dumps({"state": "drawing", **owner}))
        assert standing(path)["live"]
        old = time.time() - status.SILENT_SECONDS - 5
        os.utime(path, (old, old))
        assert state(tmp_path) == "killed while drawing"
    path.write_text("[")
    assert state(tmp_path) == "unreadable"
    assert standing(tmp_path / "none.json") == {}


def test_the_heartbeat_shows_progress(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "HEARTBEAT_SECONDS", 0.02)
    own = Status(tmp_path / "status.json")
    own.set("running")
    own.progress(3, 7)
    end = time.monotonic() + 10
    while standing(own.path).get("progress") != "3 of 7 training runs":
        assert time.monotonic() < end
    own.set("finished")
    before = own.path.read_bytes()
    time.sleep(0.1)
    assert own.path.read_bytes() == before


def test_a_multirun_without_jobs_is_not_called_finished(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(multirun._sweep, "directory", tmp_path)
    monkeypatch.setitem(multirun._sweep, "begin", 0.0)
    assert multirun.report(1) == 1
    assert multirun.report(0) == 1
    assert "all 0" not in capsys.readouterr().out
    (tmp_path / "status.json").write_text('{"state": "finished"}')
    assert multirun.report(0) == 0
    (tmp_path / "status-3.json").write_text("{")
    assert multirun.report(0) == 1
    assert "shard 3 is unreadable" in capsys.readouterr().err
