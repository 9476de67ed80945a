"""How a job and its units stand: one word on a unit, and the status file of a job, true at all times.

The file says starting, running, drawing, finished, failed, failed in part or stopped by a signal. Its writer renews it
every HEARTBEAT_SECONDS while it lives; what a killed one left is known by that, and by its process number.
"""

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

from experiments.running import files
from experiments.running.claims import described, holder, is_gone, is_here, me
from experiments.running.store import StoreError, Units
from experiments.running.study import Unit

HEARTBEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0
LIVE = ("starting", "running", "drawing")


class Status:
    """The status file of a job of this process."""

    def __init__(self, path: Path, **facts: Any) -> None:
        self.path = path
        self.facts: dict[str, Any] = {"state": "", **facts, **me(), "job": slurm_job(), "progress": None}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="status", daemon=True)

    def set(self, state: str, **facts: Any) -> None:
        """Write a new state, with what else is known by now.

        Raises:
            StoreError: a state of a job that goes on could not be written.
        """
        try:
            with self._lock:
                self.facts |= {"state": state, **facts}
                self._write()
        except StoreError:
            if state in LIVE:
                raise
        finally:
            if state not in LIVE:
                self._over.set()
        if state in LIVE and not self._thread.is_alive():
            self._thread.start()

    def progress(self, done: int, total: int) -> None:
        """Training runs done, of how many; written with the next beat."""
        self.facts["progress"] = f"{done} of {total} training runs"

    def _write(self) -> None:
        files.write_json(self.path, {**self.facts, "updated": time.strftime("%Y-%m-%dT%H:%M:%S%z")})

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(StoreError), self._lock:
                if not self._over.is_set():
                    self._write()


def standing(path: Path) -> dict[str, Any]:
    """A status file as it is to be read now: what a killed process left says so. {} if there is none.

    `live` is whether its process is at work.
    """
    try:
        facts = files.read_json(path)
        state = str(facts.get("state", "unknown"))
        live = state in LIVE and not (is_here(facts) and is_gone(facts))
        if live:
            live = files.now(path.parent) - path.stat().st_mtime <= SILENT_SECONDS
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {"state": "unreadable", "live": False}
    return {**facts, "state": f"killed while {state}" if state in LIVE and not live else state, "live": live}


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


def slurm_job() -> str:
    """The SLURM job this is, as squeue names it, or nothing."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")
