"""GPUs under a real SLURM, as device files alone: every process gets the cards that SLURM gave it, and no other's.

The nodes' cards are character devices that exist on any Linux machine; SLURM counts and binds them like real ones.
"""

import sys
import time
from pathlib import Path

import pytest
import slurm_cluster

pytestmark = [pytest.mark.slow, pytest.mark.extended]

ROOT = Path(__file__).resolve().parents[2]
CARDS = 4  # a node
# what a process of a study sees: its own number, the cards SLURM gave it, and the devices tlx hands to JAX
LOOK = (
    "import os; from experiments.running.hosts import local_devices; "
    "print(os.environ.get('SLURM_ARRAY_TASK_ID', ''), os.environ.get('SLURM_PROCID', ''), "
    "os.environ.get('CUDA_VISIBLE_DEVICES', ''), len(local_devices(None) or []), sep=';')"
)


class GpuCluster(slurm_cluster.Cluster):
    """The same two nodes, with cards."""

    def __init__(self, directory):
        super().__init__(directory, cpus=4)
        files = ",".join(f"/dev/tty{number}" for number in range(CARDS))
        lines = [f"NodeName={node} Name=gpu File=/dev/tty[0-{CARDS - 1}]" for node in slurm_cluster.NODES]
        assert all(Path(name).exists() for name in files.split(","))
        (directory / "gres.conf").write_text("AutoDetect=off\n" + "\n".join(lines) + "\n")
        path = directory / "slurm.conf"
        text = path.read_text().replace("SelectTypeParameters=CR_CPU", "SelectTypeParameters=CR_CPU\nGresTypes=gpu")
        path.write_text(text.replace("RealMemory=4000", f"RealMemory=4000 Gres=gpu:{CARDS}"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if lacking := slurm_cluster.missing():
        pytest.skip(f"no SLURM on this machine ({', '.join(lacking)} not found)")
    if not all(Path(f"/dev/tty{number}").exists() for number in range(CARDS)):
        pytest.skip("this machine has no /dev/tty0 ... /dev/tty3 to stand for cards")
    cluster = GpuCluster(tmp_path_factory.mktemp("slurm-gpu"))
    cluster.environment = {k: v for k, v in cluster.environment.items() if k != "CUDA_VISIBLE_DEVICES"}
    cluster.environment |= {"PYTHONPATH": str(ROOT)}
    if why := cluster.up():
        cluster.down()
        pytest.skip(f"SLURM does not come up on this machine: {why[-500:]}")
    yield cluster
    cluster.down()


def seen(text):
    """(array task, process, cards, devices for JAX) of every line."""
    rows = [line.split(";") for line in text.splitlines() if line.count(";") == 3]
    return [(task, process, tuple(cards.split(",")), int(count)) for task, process, cards, count in rows]


def test_processes_on_a_node_get_cards_of_their_own(cluster):
    command = ["srun", "-N1", "-n4", "--gpus-per-task=1", "--gpu-bind=per_task:1", sys.executable, "-c", LOOK]
    done = cluster.run(*command, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = seen(done.stdout)
    assert len(rows) == 4
    assert all(len(cards) == 1 == count for _, _, cards, count in rows)
    assert len({cards for _, _, cards, _ in rows}) == 4  # no card twice


def test_one_program_over_two_nodes_has_every_card_of_each(cluster):
    command = ["srun", "-N2", "-n2", "--ntasks-per-node=1", "--gpus-per-node=2", sys.executable, "-c", LOOK]
    done = cluster.run(*command, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = seen(done.stdout)
    assert sorted(process for _, process, _, _ in rows) == ["0", "1"]
    assert all(len(set(cards)) == 2 == count for _, _, cards, count in rows)  # JAX alone would take one


def test_tasks_of_an_array_that_share_a_node_get_different_cards(cluster, tmp_path):
    script = tmp_path / "look.sh"
    # each stays until the others have looked, so that they must share
    script.write_text(f'#!/bin/bash\n{sys.executable} -c "{LOOK}"\nsleep 15\n')
    command = ["sbatch", "--parsable", "--array=0-3", "-w", slurm_cluster.NODES[0], "--gpus-per-node=1"]
    submitted = cluster.run(*command, "-o", tmp_path / "%a.log", script, cwd=ROOT)
    assert submitted.returncode == 0, submitted.stderr
    job, end = submitted.stdout.strip(), time.monotonic() + 120
    while cluster.run("squeue", "-h", "-j", job).stdout.strip():
        assert time.monotonic() < end, "too slow"
        time.sleep(0.2)
    rows = [row for path in sorted(tmp_path.glob("*.log")) for row in seen(path.read_text())]
    assert [task for task, _, _, _ in rows] == ["0", "1", "2", "3"]
    assert len({cards for _, _, cards, _ in rows}) == 4


def test_memory_shares_of_jobs_on_one_card_add_up():
    """Two jobs with ensemble.memory_gb on one card: each obeys its own share, whatever the pool of JAX is."""
    import types

    from tlx import ensemble

    pool = types.SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": 60 * 10**9})
    alone = ensemble.make_layout(10, devices=(pool,))
    shared = [ensemble.make_layout(10, devices=(pool,), memory=28 * 10**9) for _ in range(2)]
    assert sum(layout.memory for layout in shared) < alone.memory < 60 * 10**9


def test_cards_are_passed_on_as_slurm_lists_them(monkeypatch):
    from experiments.running.hosts import local_devices

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert local_devices(None) == [0, 1]  # numbered anew within the process
    assert local_devices([1]) == [1]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert local_devices(None) is None
