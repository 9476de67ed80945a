"""What became of a multirun: every job leaves a status file, and the parent names the jobs that did not finish."""

import json
import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from experiments.running import console as _console

_sweep: dict[str, Any] = {}  # of the multirun this process launches: its directory and start


class Report(Callback):
    """Remembers where a multirun writes (configured in conf/output/default.yaml)."""

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Called once in the parent."""
        _sweep.update(directory=Path(config.hydra.sweep.dir), begin=time.time() - 1.0)


def report() -> list[str]:
    """Name the jobs of the multirun just launched that did not finish; returns their descriptions."""
    if not _sweep:
        return []
    unfinished, finished = [], 0
    for path in sorted(_sweep["directory"].rglob("status*.json")):
        if path.stat().st_mtime < _sweep["begin"]:
            continue
        status = json.loads(path.read_text())
        if status["state"] == "finished":
            finished += 1
            continue
        lines = [f"{path.parent}{_shard(path)} is {status['state']}: {status.get('error', '')}".rstrip(": ")]
        lines += [f"  unit {name}: {line}" for name, line in status.get("failed", {}).items()]
        unfinished.append("\n    ".join(lines))
    if unfinished:
        _console.fail(f"{len(unfinished)} of {len(unfinished) + finished} jobs did not finish:")
        for line in unfinished:
            _console.fail(line)
    else:
        _console.say(f"all {finished} jobs finished: {_sweep['directory']}")
    return unfinished


def _shard(path: Path) -> str:
    """Which shard a status file is of, in words."""
    return "" if path.name == "status.json" else f", shard {path.stem.removeprefix('status-')}"
