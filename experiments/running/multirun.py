"""What became of a multirun: every job leaves a status file, and the parent names the jobs that did not finish."""

import os
import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from experiments.running import console, signals
from experiments.running.status import standing

_sweep: dict[str, Any] = {}  # of the multirun this process launches: its directory and start


class Report(Callback):
    """Remembers where a multirun writes (configured in conf/output/default.yaml)."""

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Called once in the parent."""
        os.environ[signals.LAUNCHER] = str(os.getpid())
        _sweep.update(directory=Path(config.hydra.sweep.dir), begin=time.time() - 1.0)


def report(code: int) -> int:
    """Say how the multirun just launched went and name the jobs that did not finish; returns its exit code.

    `code` is what the launcher ended with: not 0 if a job was refused, whose message has been shown.
    """
    if not _sweep:  # it did not come to launching
        return code
    unfinished, finished = [], 0
    for path in sorted(_sweep["directory"].rglob("status*.json")):
        if path.stat().st_mtime < _sweep["begin"]:
            continue
        status = standing(path)
        if status["state"] == "finished":
            finished += 1
            continue
        lines = [f"{path.parent}{_shard(path)} is {status['state']}: {status.get('error', '')}".rstrip(": ")]
        failed = status.get("failed")
        lines += [f"  unit {name}: {line}" for name, line in failed.items()] if isinstance(failed, dict) else []
        unfinished.append("\n    ".join(lines))
    if unfinished:
        console.fail(f"{len(unfinished)} of {len(unfinished) + finished} jobs did not finish:")
        for line in unfinished:
            console.fail(line)
    elif code or not finished:
        console.fail(f"{finished} jobs finished; the others were refused, for the reasons above.")
    else:
        console.say(f"all {finished} jobs finished: {_sweep['directory']}")
    return code or (1 if unfinished or not finished else 0)


def _shard(path: Path) -> str:
    """Which shard a status file is of, in words."""
    return "" if path.name == "status.json" else f", shard {path.stem.removeprefix('status-')}"
