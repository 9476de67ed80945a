"""How a job and its units stand: one word on a unit, and the status file of a job."""

import os
import time
from pathlib import Path
from typing import Any

from experiments.running import files
from experiments.running.claims import described, holder, machine
from experiments.running.store import Units
from experiments.running.study import Unit


def situation(store: Units, unit: Unit) -> str:
    """One word on a unit, and who is at it: finished, running, failed, saved in part, damaged or missing."""
    state = store.state(unit.name)
    if state.receipt is not None:
        return "finished"
    found = holder(store.beside(unit.name, "claim"))
    if found:
        return f"running ({described(found)})"
    if store.beside(unit.name, "failed").exists():
        return "failed"
    if store.beside(unit.name, "partial").exists():
        return "saved in part"
    return state.fault or "missing"


def status(path: Path, state: str, every: list[Unit], outcome: Any, command: str) -> None:
    """The status file of a job: what it is, how far it is, and which units failed."""
    files.write_json(
        path,
        {
            "state": state,
            "units": len(every),
            "computed": outcome.computed,
            "failed": outcome.failed,
            "host": machine(),
            "pid": os.getpid(),
            "job": slurm_job(),
            "updated": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": command,
        },
    )


def slurm_job() -> str:
    """The SLURM job this is, as squeue names it, or nothing."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")
