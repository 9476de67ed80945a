"""What is known of a run from its folder alone: nothing is computed, and no folder is too damaged to be listed."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from experiments.running.report import flat
from experiments.running.status import standing

MARKS = ("summary.json", "status.json", ".hydra", "results.nc")  # any of them makes a folder a run
HIDDEN = ("study", "figures", "force", "plan", "store", "shard", "checkpoint", "distributed", "quiet", "figure_style")


@dataclass(frozen=True)
class Run:
    """One run's folder.

    Attributes:
        directory: where it is.
        study: the study's name; "unknown" where no file says.
        state: in words: finished, running, killed while ..., stopped by ..., failed, or what else was found there.
        settings: dotted key -> value: all of them where there is a summary, else the overrides of the command.
        worst_z: the largest |z| of its closing table, from theory that is claimed; None where nothing was compared.
        lanes: training runs by protocol, summed; 0 where unknown.
        changed: time of its last file, seconds since the epoch.
        size: bytes of all its files.
        version: of tlx that wrote it; "" where unknown.
        picture: its first figure, or None.
        altered: the settings in which it differs from the defaults of its study, where a summary says so.
    """

    directory: Path
    study: str
    state: str
    settings: dict[str, Any]
    worst_z: float | None
    lanes: int
    changed: float
    size: int
    version: str
    picture: Path | None
    altered: dict[str, Any] = field(default_factory=dict)


def worst(protocols: dict[str, Any]) -> float | None:
    """The largest |z| in the facts of a summary, of theory that is claimed to hold; None where none was compared."""
    rows = [f for f in protocols.values() if isinstance(f, dict) and "worst_z" in f and f.get("claimed", True)]
    return max((abs(f["worst_z"]) for f in rows), default=None)


def find(root: Path) -> list[Run]:
    """Every run under a folder, the latest first."""
    found = {path.parent for mark in MARKS for path in root.rglob(mark)}
    return sorted((read(path) for path in found if path.name != ".hydra"), key=lambda run: -run.changed)


def read(directory: Path) -> Run:
    """One run, from whichever of its files can be read."""
    summary, status = _json(directory / "summary.json"), standing(directory / "status.json")
    files = [path for path in directory.rglob("*") if path.is_file()]
    sizes = [path.stat() for path in files]
    config = summary.get("config")
    facts = summary.get("protocols") or summary.get("methods") or {}
    counts = summary.get("lanes_by_status")
    lanes = sum(n for found in counts.values() for n in found.values()) if isinstance(counts, dict) else 0
    pictures = [directory / name for name in summary.get("files", []) if str(name).endswith(".png")]
    return Run(
        directory,
        str(summary.get("study") or status.get("study") or _study(directory)),
        _state(directory, summary, status),
        flat(config) if isinstance(config, dict) else _overrides(directory),
        worst(facts),
        lanes,
        max((s.st_mtime for s in sizes), default=directory.stat().st_mtime),
        sum(s.st_size for s in sizes),
        str(summary.get("tlx", "")),
        next((path for path in pictures if path.is_file()), None),
        _altered(summary),
    )


def _altered(summary: dict[str, Any]) -> dict[str, Any]:
    found = summary.get("changed")
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(key): both[0] for key, both in pairs if isinstance(both, list) and both}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(directory: Path, summary: dict[str, Any], status: dict[str, Any]) -> str:
    if status.get("state"):
        missing = len(summary.get("missing", []))
        return f"{status['state']}{f', {missing} units missing' if missing else ''}"
    if summary:
        return "finished"
    if (directory / "results.nc").exists():
        return "results without a summary"
    return "no results"


def _overrides(directory: Path) -> dict[str, Any]:
    """The overrides of the command as text, from .hydra/overrides.yaml (values are never interpreted)."""
    try:
        words = yaml.safe_load((directory / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    pairs = [str(word).partition("=") for word in words] if isinstance(words, list) else []
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _study(directory: Path) -> str:
    try:
        text = (directory / ".hydra" / "hydra.yaml").read_text(encoding="utf-8")
        return str(yaml.safe_load(text)["hydra"]["job"]["name"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return "unknown"


def differences(runs: list[Run]) -> dict[Path, dict[str, Any]]:
    """Run's directory -> the settings in which it differs from the other runs of its study, alone from the defaults."""
    out: dict[Path, dict[str, Any]] = {}
    for study in {run.study for run in runs}:
        mine = [run for run in runs if run.study == study]
        if len(mine) == 1:
            out[mine[0].directory] = mine[0].altered
            continue
        keys = dict.fromkeys(key for run in mine for key in run.settings if key.split(".")[0] not in HIDDEN)
        vary = [key for key in keys if len({json.dumps(run.settings.get(key), default=str) for run in mine}) > 1]
        for run in mine:
            out[run.directory] = {key: run.settings[key] for key in vary if key in run.settings}
    return out


def matches(run: Run, conditions: dict[str, str]) -> bool:
    """Whether a run has all these settings; `study` and `state` count as settings (a state by how it begins)."""
    for key, wanted in conditions.items():
        if key == "state":
            if not run.state.startswith(wanted):
                return False
        elif _plain(run.study if key == "study" else run.settings.get(key)) != wanted.strip():
            return False
    return True


def _plain(value: Any) -> str:
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if not isinstance(value, list)
        else str(value)
    )


def age(seconds: float) -> str:
    """A time in the past in words."""
    past = max(0.0, time.time() - seconds)
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if past >= size:
            return f"{past / size:.0f} {name}"
    return f"{past:.0f} s"


def size(count: int) -> str:
    """Bytes in words."""
    for power, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= power:
            return f"{count / power:.1f} {name}"
    return f"{count} B"
