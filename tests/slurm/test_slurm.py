"""On a real SLURM: a multirun as an array, a job requeued, a job that fails, and one program over two nodes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import slurm_cluster
import xarray as xr

pytestmark = [pytest.mark.slow, pytest.mark.extended]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "experiments.scratch_risk"]
STUDY = ["task.dim=40", "grid.sample_ratios=4", "figures=[]"]
STUDY += ["ensemble.num_instances=4", "ensemble.instances_per_unit=1", "optimizer.num_steps=15000"]
STUDY += ["optimizer.tolerance=0"]  # every step is taken: a job lasts some seconds
NOISES = ("0.0", "0.1", "0.2", "0.3", "0.4", "0.5")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    lacking = slurm_cluster.missing()
    if lacking:
        pytest.skip(f"no SLURM on this machine ({', '.join(lacking)} not found)")
    cluster = slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm"))
    cluster.environment |= {"PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1", "OMP_NUM_THREADS": "1"}
    why = cluster.up()
    if why:
        cluster.down()
        pytest.skip(f"SLURM does not come up on this machine: {why[-500:]}")
    yield cluster
    cluster.down()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Every noise level's numbers, computed here in one process after another."""
    directory = tmp_path_factory.mktemp("reference")
    command = [*PROGRAM, "-m", *STUDY, "task.noise_std=" + ",".join(NOISES), f"hydra.sweep.dir={directory}"]
    command += ["hydra.sweep.subdir=${task.noise_std}"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    return {noise: risks(directory / noise) for noise in NOISES}


def risks(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.risk.values.copy()


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "too slow"
        time.sleep(0.1)
    return found


def running_job(cluster, directory):
    """The SLURM job that computes into a directory, once it has finished a unit."""
    if not list(directory.glob("units/*.json")):
        return ""
    lines = cluster.run("squeue", "-h", "-t", "RUNNING", "-r", "-o", "%i").stdout.split()
    status = json.loads((directory / "status.json").read_text())
    return status["job"] if status["state"] == "running" and status.get("job") in lines else ""


@pytest.mark.thorough
def test_a_multirun_survives_a_requeued_and_a_failing_job(cluster, reference, tmp_path):
    command = [*PROGRAM, "-m", "hydra/launcher=slurm", *STUDY, "task.noise_std=" + ",".join((*NOISES, "-1.0"))]
    command += [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${task.noise_std}"]
    command += ["hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=60"]
    parent = subprocess.Popen(
        command, cwd=ROOT, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        job = wait_for(lambda: running_job(cluster, tmp_path / "0.1"))
        status = json.loads((tmp_path / "0.1/status.json").read_text())
        os.kill(status["pid"], signal.SIGUSR2)  # as SLURM does at pre-emption; on a loaded machine scancel sends two
        _, err = parent.communicate(timeout=240)
    finally:
        parent.kill()
    assert parent.returncode != 0
    assert "1 of 7 jobs did not finish" in err
    assert f"{tmp_path / '-1.0'} is failed" in err  # by name
    assert (tmp_path / "-1.0" / "traceback.txt").exists()
    shown = cluster.run("scontrol", "-o", "show", "job", job).stdout
    assert "Restarts=1" in shown, shown
    for noise in NOISES:
        np.testing.assert_array_equal(risks(tmp_path / noise), reference[noise])


def test_one_program_over_two_nodes_is_the_same_as_one_process(cluster, reference, tmp_path):
    command = ["srun", "-N2", "-n2", "--ntasks-per-node=1", *PROGRAM, *STUDY]
    command += ["distributed.enabled=true", "task.noise_std=0.0"]
    done = cluster.run(*command, f"hydra.run.dir={tmp_path}", timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_array_equal(risks(tmp_path), reference["0.0"])
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.attrs["device"].endswith("x 2")


def test_a_plain_array_shares_one_directory(cluster, reference, tmp_path):
    command = ["sbatch", "--parsable", "--array=0-2", "--cpus-per-task=1", "-o", tmp_path / "%a.log"]
    command += [ROOT / "conf/slurm/array.sbatch", "scratch_risk", *STUDY, "task.noise_std=0.2"]
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    environment = {**cluster.environment, "PATH": path}
    submitted = cluster.run(*command, f"hydra.run.dir={tmp_path / 'out'}", cwd=ROOT, env=environment)
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()
    wait_for(lambda: not cluster.run("squeue", "-h", "-j", job).stdout.strip(), 150)
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    states = cluster.run("scontrol", "-o", "show", "job", job).stdout
    assert states.count("JobState=COMPLETED") == 3, states + logs
    np.testing.assert_array_equal(risks(tmp_path / "out"), reference["0.2"])
    assert len(list((tmp_path / "out").glob("status-*.json"))) == 3
