"""A real SLURM cluster on this machine, for tests: a controller and one daemon a node, no services, no accounting."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "sinfo", "squeue")
NODES = ("127.0.0.1", "127.0.0.2")  # JAX takes the coordinator's address from the first node's name: it must resolve

# Answers `sacct -o JobID,State,NodeList --parsable2 -j ID ...`, the launcher's only question to the accounting that
# this cluster lacks, from what the controller knows. Else the parent of a job that left no result waits for ever.
SACCT = r"""#!/bin/bash
echo "JobID|State|NodeList"
while [ $# -gt 0 ]; do
  if [ "$1" = -j ]; then
    scontrol -o show job "$2" 2>/dev/null | while read -r line; do
      get() { sed -nE "s/^(.* )?$1=([^ ]*).*/\2/p" <<<"$line"; }
      id=$(get JobId); array=$(get ArrayJobId); task=$(get ArrayTaskId)
      case "$task" in "") ;; *[-,%]*) id="${array}_[$task]" ;; *) id="${array}_$task" ;; esac
      echo "$id|$(get JobState)|$(get NodeList)"
    done
  fi
  shift
done
"""

CONFIGURATION = """ClusterName=tlx
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={port}
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool/%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.%n.pid
SlurmctldLogFile={directory}/log/slurmctld.log
SlurmdLogFile={directory}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
KillOnBadExit=1
MinJobAge=86400
FirstJobId={first}
MailProg=/bin/true
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port=[{low}-{high}] CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Which programs of SLURM this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def _free_ports(count):
    for low in random.sample(range(20000, 40000, 10), 200):
        held = []
        try:
            for port in range(low, low + count):
                held.append(socket.create_server(("127.0.0.1", port)))
            return low
        except OSError:
            continue
        finally:
            for server in held:
                server.close()
    raise RuntimeError("no free ports")


class Cluster:
    """Two nodes in a directory; `environment` is what its clients need."""

    def __init__(self, directory: Path, cpus: int = 2) -> None:
        self.directory = directory
        for name in ("state", "log", "bin", *(f"spool/{node}" for node in NODES)):
            (directory / name).mkdir(parents=True)
        port = _free_ports(len(NODES) + 1)
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], user=user, port=port, directory=directory, cpus=cpus,
            first=random.randrange(10**4, 10**7), nodes=",".join(NODES), low=port + 1, high=port + len(NODES),
        )  # fmt: skip
        (directory / "slurm.conf").write_text(text)
        (directory / "bin/sacct").write_text(SACCT)
        (directory / "bin/sacct").chmod(0o755)
        path = f"{directory / 'bin'}:{os.environ['PATH']}"
        self.environment = {**os.environ, "SLURM_CONF": str(directory / "slurm.conf"), "PATH": path}

    def run(self, *command, **options):
        """A client's command."""
        options = {"timeout": 30, "capture_output": True, "text": True, "env": self.environment, **options}
        return subprocess.run(list(map(str, command)), **options)

    def up(self) -> str:
        """Start it; "" or why it did not come up."""
        self.run("slurmctld", "-f", self.directory / "slurm.conf")
        for node in NODES:
            self.run("slurmd", "-N", node, "-f", self.directory / "slurm.conf")
        end = time.monotonic() + 15
        while time.monotonic() < end:
            states = set(self.run("sinfo", "-h", "-N", "-o", "%T").stdout.split())
            if states == {"idle"}:
                return ""
            time.sleep(0.1)
        return "".join(path.read_text()[-1000:] for path in (self.directory / "log").glob("*.log")) or "no log"

    def down(self) -> None:
        """Stop jobs and daemons."""
        self.run("scancel", "--state=RUNNING", "--signal=KILL", "--partition=debug")
        self.run("scancel", "--partition=debug")
        end = time.monotonic() + 10
        while time.monotonic() < end and self.run("squeue", "-h").stdout.strip():
            time.sleep(0.1)
        pids = [int(path.read_text()) for path in self.directory.glob("*.pid")]
        for pid, wanted in [(p, s) for s in (signal.SIGTERM, signal.SIGKILL) for p in pids]:
            until = time.monotonic() + (5 if wanted == signal.SIGKILL else 0)
            while _alive(pid) and time.monotonic() < until:
                time.sleep(0.05)
            if _alive(pid):
                os.kill(pid, wanted)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
