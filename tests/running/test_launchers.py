"""Real studies from the command line: multiruns by launcher, failures by name, and two processes as one."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from experiments.running import claims as _claims
from experiments.running import hosts as _hosts
from experiments.running import signals as _signals

pytestmark = [pytest.mark.slow, pytest.mark.extended]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "experiments.scratch_risk"]
TINY = [
    "task.dim=12",
    "grid.sample_ratios=[0.5,1.5]",
    "ensemble.num_instances=5",
    "optimizer.num_steps=200",
    "figures=[]",
]
PATIENCE = 600.0  # seconds for processes to start and compile: on a machine with other work they take minutes
ONE_DEVICE = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}


def command(*words, code=0, environment=ONE_DEVICE):
    done = subprocess.run(
        [*PROGRAM, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def risks(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.risk.values.copy()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    directory = tmp_path_factory.mktemp("alone")
    command(*TINY, f"hydra.run.dir={directory}")
    return directory


def test_a_failing_job_is_named_and_the_others_finish(tmp_path, alone):
    sweep = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${task.noise_std}"]
    _, err = command("-m", *TINY, "task.noise_std=-1,0.2", *sweep, code=1)
    assert "1 of 2 jobs did not finish" in err
    assert f"{tmp_path / '-1.0'} is failed" in err
    np.testing.assert_array_equal(risks(tmp_path / "0.2"), risks(alone))


def test_a_multirun_whose_jobs_all_fail_to_compose_is_not_called_finished(tmp_path):
    out, err = command("-m", *TINY, "task.noise_std=abc,def", f"hydra.sweep.dir={tmp_path}", code=1)
    assert "0 jobs finished; the others were refused" in err
    assert "finished" not in out


def test_joblib_gives_the_same(tmp_path, alone):
    sweep = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${seed}", "hydra/launcher=joblib"]
    command("-m", *TINY, "seed=0,1", *sweep, "hydra.launcher.n_jobs=2")
    np.testing.assert_array_equal(risks(tmp_path / "0"), risks(alone))
    assert not np.array_equal(risks(tmp_path / "1"), risks(alone))


def holders(directory):
    """The processes that hold claims, of those that have written who they are."""
    found = [_claims.holder(path) or {} for path in directory.glob("*/units/*.claim")]
    return [one["pid"] for one in found if "pid" in one]


def test_a_worker_that_starts_after_its_launcher_has_died_is_an_orphan(monkeypatch):
    monkeypatch.setattr(_signals.sys, "orig_argv", ["python", "-m", "joblib.externals.loky.backend.popen_loky_posix"])
    monkeypatch.setenv(_signals.LAUNCHER, str(os.getppid()))
    assert not _signals._parent()()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setenv(_signals.LAUNCHER, str(gone.pid))
    assert _signals._parent()()


def test_a_worker_ends_with_its_launcher_whatever_it_does():
    """One that hands its result to a launcher that is gone would wait for ever."""
    code = "import time; from experiments.running import signals; signals.GRACE_SECONDS = 0.1; "
    code += "signals.leave_with_launcher(); time.sleep(600)"
    environment = {**os.environ, _signals.LAUNCHER: "1"}
    done = subprocess.run([sys.executable, "-c", code, "loky"], cwd=ROOT, env=environment, timeout=PATIENCE)
    assert done.returncode == 143


def test_joblib_workers_die_with_their_parent(tmp_path):
    words = ["-m", *TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${seed}"]
    words += [
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "optimizer.num_steps=2000000",
        "optimizer.tolerance=0",
    ]
    parent = subprocess.Popen([*PROGRAM, *words], cwd=ROOT, env=ONE_DEVICE, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while len(workers := holders(tmp_path)) < 2:
            assert parent.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        assert parent.pid not in workers
    finally:
        parent.kill()
        parent.wait()
    end = time.monotonic() + 30
    while any(_claims.started(pid) for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert not list(tmp_path.glob("*/units/*.claim"))


def test_two_processes_as_one_program_give_the_same(tmp_path, alone):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = [*PROGRAM, *TINY, f"hydra.run.dir={tmp_path}", "distributed.enabled=true", "distributed.num_processes=2"]
    shared += [f"distributed.coordinator=127.0.0.1:{port}"]
    both = [
        subprocess.Popen([*shared, f"distributed.process_id={i}"], cwd=ROOT, env=ONE_DEVICE, stdout=subprocess.DEVNULL)
        for i in range(2)
    ]
    assert [process.wait(timeout=PATIENCE) for process in both] == [0, 0]
    np.testing.assert_array_equal(risks(tmp_path), risks(alone))
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.attrs["device"] == "cpu x 2"


def test_local_devices_are_explicit(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert _hosts.local_devices(None) == [0, 1, 2, 3]
    assert _hosts.local_devices([2]) == [2]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert _hosts.local_devices(None) is None


def test_an_output_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    out, err = command(*TINY, f"hydra.run.dir={tmp_path / 'file/below'}", code=2)
    assert "cannot be written" in err
    assert "Traceback" not in out + err


def test_an_interrupt_is_answered_by_the_command_line(tmp_path):
    process = subprocess.Popen(
        [*PROGRAM, *TINY, f"hydra.run.dir={tmp_path}", "optimizer.num_steps=2000000", "optimizer.tolerance=0"],
        cwd=ROOT, env=ONE_DEVICE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("units/*.claim")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert process.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err


def test_the_guide_and_the_templates_name_what_exists():
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from experiments.phase_diagram import PhaseDiagram
    from experiments.running.compose import register

    register(PhaseDiagram())
    GlobalHydra.instance().clear()
    guide = (ROOT / "docs/clusters.md").read_text()
    named = re.findall(r"`([a-z_]+\.[a-z_]+)[=`]", guide)
    keys = [*(key for key in named if not key.startswith(("jax.", "benchmarks."))), "force", "plan", "store"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = ["hydra/launcher=slurm", "device=shared_gpu"]
        config = compose("phase_diagram", overrides=overrides, return_hydra_config=True)
    assert config.hydra.launcher.additional_parameters.requeue
    assert config.hydra.job.env_set.XLA_PYTHON_CLIENT_PREALLOCATE == "false"
    for key in keys:
        node = config
        for part in key.split("."):
            assert part in node or key in ("results.nc", "status.json", "units.forced"), key
            node = node.get(part, {})
    for path in re.findall(r"conf/[\w/.]+", guide):
        assert (ROOT / path).exists(), path


def test_memory_is_planned_from_the_configuration(tmp_path):
    _, err = command(*TINY, f"hydra.run.dir={tmp_path}", "plan=true", "ensemble.memory_gb=0.000001", code=2)
    assert "one lane takes" in err
    out, _ = command(*TINY, f"hydra.run.dir={tmp_path}", "plan=true", "ensemble.memory_gb=0.5")
    assert "of 500 MB allowed" in out
    assert not (tmp_path / "units").exists()
