"""Claims: respected while their owner lives, taken over once it is gone or silent; and what kills leave is swept."""

import json
import os
import signal
import subprocess
import time

import pytest
import toy_study

from experiments.running import claims as _claims
from experiments.running import files
from experiments.running.claims import Claims
from experiments.running.files import StoreError


def test_a_claim_of_a_living_process_is_respected(tmp_path):
    mine, other = Claims(), Claims()
    path = tmp_path / "u.claim"
    assert mine.take(path)
    assert not other.take(path)
    other.release(path)  # not its own
    assert path.exists()
    mine.release(path)
    assert other.take(path)


def test_a_claim_of_a_dead_process_is_taken_over(tmp_path):
    path = tmp_path / "u.claim"
    gone = subprocess.Popen(["true"])
    gone.wait()
    path.write_text(json.dumps({"host": _claims.machine(), "pid": gone.pid, "started": "1", "token": "x"}))
    assert Claims().take(path)


def test_a_claim_of_another_host_is_taken_over_once_it_is_silent(tmp_path):
    path = tmp_path / "u.claim"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "x"}))
    assert not Claims().take(path)
    old = time.time() - _claims.STALE_SECONDS - 5
    os.utime(path, (old, old))
    assert Claims().take(path)


def test_a_claim_of_an_earlier_boot_says_nothing_of_a_process_number(tmp_path):
    path = tmp_path / "u.claim"
    owner = {**_claims.me(), "token": "x"}
    path.write_text(json.dumps(owner))
    assert not Claims().take(path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    # another host of the same name: its processes cannot be asked after here
    path.write_text(json.dumps(owner | {"boot": "another", "pid": gone.pid}))
    assert not Claims().take(path)
    path.write_text(json.dumps(owner | {"pid": gone.pid}))
    assert Claims().take(path)


def test_a_stopped_owner_is_reported_and_not_waited_for_for_ever(tmp_path):
    path = tmp_path / "u.claim"
    sleeper = subprocess.Popen(["sleep", "100"])
    try:
        owner = {**_claims.me(), "pid": sleeper.pid, "started": _claims.started(sleeper.pid), "token": "x"}
        path.write_text(json.dumps(owner))
        assert "stopped" not in _claims.described(owner)
        sleeper.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 10
        while "which is stopped" not in _claims.described(owner):
            assert time.monotonic() < end
        assert f"kill -CONT {sleeper.pid}" in _claims.described(owner)
        assert not Claims().take(path)
        old = time.time() - _claims.STALE_SECONDS - 5
        os.utime(path, (old, old))
        assert Claims().take(path)
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize(
    "text", ["", "[]", "17", "{", "null", '{"host": 3, "pid": "x"}', '{"pid": 99999999999999999999}']
)
def test_a_malformed_claim_is_taken_over_once_it_is_silent(tmp_path, text):
    path = tmp_path / "u.claim"
    path.write_text(text)
    assert not Claims().take(path)
    old = time.time() - _claims.STALE_SECONDS - 5
    os.utime(path, (old, old))
    assert Claims().take(path)
    assert [found.name for found in tmp_path.iterdir()] == ["u.claim"]


def test_a_claim_that_cannot_be_written_is_not_left_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_claims.os, "fdopen", full)
    with pytest.raises(StoreError, match=r"u\.claim could not be written .No space left on device.\. Free some space"):
        Claims().take(tmp_path / "u.claim")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_waiting_is_shown(tmp_path, capsys, monkeypatch):
    from experiments.running import compute

    monkeypatch.setattr(compute, "WAITING_SAID_SECONDS", 0.1)
    monkeypatch.setattr(_claims, "STALE_SECONDS", 4.0)
    toy_study.run(tmp_path, units=1)
    name = next((tmp_path / "units").glob("*.nc")).stem
    (tmp_path / "units" / f"{name}.json").unlink()
    (tmp_path / "results.nc").unlink()
    (tmp_path / f"units/{name}.claim").write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "x"}))
    toy_study.run(tmp_path, units=1)
    assert "waiting for 1 unit(s) that others compute (elsewhere, process 1)" in capsys.readouterr().out


def test_what_kills_left_behind_is_swept_after_a_day(tmp_path):
    names = [files.temporary(tmp_path / "u.nc").name, ".u.nc.123.0123abcd", ".probe.77", ".clock.5.0123abcd"]
    kept = [".hydra", ".gitignore", "u.nc", ".u.tmp", ".notes.txt"]
    for name in (*names, *kept):
        (tmp_path / name).write_text("x")
    files.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(names) + len(kept)
    old = time.time() - files.OLD_SECONDS - 60
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    os.symlink(tmp_path / "u.nc", tmp_path / ".u.nc.0123456789abcdef.tmp")
    files.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, ".u.nc.0123456789abcdef.tmp"])


def test_a_temporary_name_cannot_be_foreseen_nor_followed(tmp_path, monkeypatch):
    assert files.temporary(tmp_path / "u") != files.temporary(tmp_path / "u")
    (tmp_path / "victim").write_text("precious")
    monkeypatch.setattr(files, "temporary", lambda path: tmp_path / "foreseen")
    os.symlink(tmp_path / "victim", tmp_path / "foreseen")
    with pytest.raises(StoreError, match="File exists"):
        files.write_bytes(tmp_path / "u", b"content")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_reused_process_number_is_not_taken_for_the_holder(tmp_path):
    path = tmp_path / "u.claim"
    path.write_text(json.dumps({"host": _claims.machine(), "pid": os.getpid(), "started": "1", "token": "x"}))
    assert Claims().take(path)
