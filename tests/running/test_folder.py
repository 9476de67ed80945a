"""An output directory holds one configuration: others are refused, and leave every byte as it was."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_study
import xarray as xr

from experiments.running import folder
from experiments.running.claims import me
from experiments.running.study import UserError

ROOT = Path(__file__).resolve().parents[2]
TINY = ["task.dim=12", "grid.sample_ratios=[0.5]", "ensemble.num_instances=3", "engine=spectral", "figures=[]"]


def everything(directory):
    """Every file with its content and times."""
    found = sorted(path for path in directory.rglob("*"))
    return [(path, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in found]


def test_another_configuration_is_refused_and_touches_nothing(tmp_path):
    toy_study.run(tmp_path)
    before = everything(tmp_path)
    with pytest.raises(UserError, match=r"already holds the results of another configuration .*nothing was touched"):
        toy_study.run(tmp_path, seed=1)
    assert everything(tmp_path) == before


@pytest.mark.extended
@pytest.mark.slow
def test_a_refused_command_touches_nothing(tmp_path):
    def command(*words):
        program = [sys.executable, "-m", "experiments.scratch_risk", *TINY, f"hydra.run.dir={tmp_path / 'out'}"]
        environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
        done = subprocess.run([*program, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    assert command("task.noise_std=-1")[0] == 2
    assert not (tmp_path / "out").exists()
    assert command() == (0, "")
    names = {path.name for path in (tmp_path / "out/.hydra").iterdir()}
    assert names == {"config.yaml", "overrides.yaml"}
    before = everything(tmp_path)
    for wrong in ("seed=3", "task.noise_std=-1", "figures=[none]", "shard.index=7"):
        code, said = command(wrong)
        assert (code, said.count("\n")) == (2, 1), said
        assert everything(tmp_path) == before


@pytest.mark.slow
def test_of_two_configurations_started_together_one_wins(tmp_path):
    program = [sys.executable, str(ROOT / "tests/running/toy_study.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"}
    kind = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*program, f"seed={seed}", "delay=0.2"], **kind) for seed in (1, 2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], said
    assert "another configuration" in said[codes.index(2)]
    assert json.loads((tmp_path / "summary.json").read_text())["seed"] == str(1 + codes.index(0))
    assert len(list((tmp_path / "units").glob("*.nc"))) == 4
    toy_study.run(tmp_path / "alone", seed=1 + codes.index(0))
    with xr.open_dataset(tmp_path / "results.nc") as won, xr.open_dataset(tmp_path / "alone/results.nc") as alone:
        np.testing.assert_array_equal(won.risk.values, alone.risk.values)


def test_a_directory_being_filled_is_refused_until_its_process_is_gone(tmp_path):
    path = tmp_path / "status.json"
    path.write_text(json.dumps({"state": "running", "identity": "theirs", **me()}))
    folder.refuse_foreign(tmp_path, "theirs")
    with pytest.raises(UserError, match=f"is being filled by another configuration .*process {os.getpid()}"):
        folder.refuse_foreign(tmp_path, "ours")
    gone = subprocess.Popen(["true"])
    gone.wait()
    path.write_text(json.dumps({"state": "running", "identity": "theirs", **me(), "pid": gone.pid}))
    folder.refuse_foreign(tmp_path, "ours")
    path.write_text(json.dumps({"state": "running", "identity": "theirs", "host": "elsewhere", "pid": 1}))
    with pytest.raises(UserError, match="elsewhere, process 1"):
        folder.refuse_foreign(tmp_path, "ours")
    old = time.time() - 100
    os.utime(path, (old, old))
    folder.refuse_foreign(tmp_path, "ours")


def test_what_begins_a_job_is_written_by_one_at_a_time(tmp_path):
    def begin():
        with pytest.raises(UserError, match=r"\.lock is held by .*process"):
            folder.enter(tmp_path, "ours", lambda: None)

    folder.LOCK_SECONDS, before = 0.1, folder.LOCK_SECONDS
    try:
        folder.enter(tmp_path, "ours", begin)
    finally:
        folder.LOCK_SECONDS = before
    assert not list(tmp_path.iterdir())
