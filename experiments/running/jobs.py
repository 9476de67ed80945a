"""Jobs found below directories: their configurations, where their units may be, and what had to be left out and why."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.running.files import read_bytes
from experiments.running.store import Units
from experiments.running.study import Study

LARGEST = 2**20  # bytes of a configuration; ours have a few thousand


@dataclass
class Job:
    """A job that was run: where, and with which configuration."""

    directory: Path
    config: Any


@dataclass
class Found:
    """What lies below the directories that were named."""

    jobs: list[Job] = field(default_factory=list)
    stores: list[Units] = field(default_factory=list)
    omitted: list[str] = field(default_factory=list)  # what was left out: where and why, a line each


def find(directories: list[Path], studies: Mapping[str, Study]) -> Found:
    """Every job of these studies, and every directory of units, below these directories."""
    found, places = Found(), set()
    for top in directories:
        unread = []
        for directory, names, _ in os.walk(top, onerror=unread.append):
            if ".hydra" in names:
                _add(found, Path(directory), studies)
            places |= {Path(directory) / name for name in names if name in ("units", "units.forced")}
        found.omitted += [f"{error.filename}: cannot be read ({error.strerror})" for error in unread]
    found.jobs.sort(key=lambda job: job.directory)
    places |= {Path(job.config.store) for job in found.jobs if job.config.store}
    found.stores = [Units(path) for path in sorted(places) if path.name != "units.forced"]
    return found


def _add(found: Found, directory: Path, studies: Mapping[str, Study]) -> None:
    try:
        found.jobs.append(Job(directory, configuration(directory / ".hydra/config.yaml", studies)))
    except (OSError, ValueError) as error:
        found.omitted.append(f"{directory}: {error}")


def configuration(path: Path, studies: Mapping[str, Study]) -> Any:
    """The typed configuration in a file that anybody may have written.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no configuration of a study here, or asks for values from outside itself.
    """
    text = read_bytes(path)
    if len(text) > LARGEST:
        raise ValueError(f"its configuration has {len(text)} bytes, more than any of ours")
    try:
        loaded = OmegaConf.to_container(OmegaConf.create(text.decode()), resolve=False)
    except Exception as error:  # of whatever kind the YAML reader raises on what anybody wrote
        raise ValueError(f"its configuration is no YAML ({str(error).splitlines()[0]:.80})") from error
    name = loaded.get("study") if isinstance(loaded, dict) else None
    if not isinstance(name, str) or name not in studies:
        raise ValueError(f"its configuration is of no study here (study: {name!r:.60})")
    asked = [value for value in _texts(loaded) if "${" in value]
    if asked:  # an environment variable must not find its way into results
        raise ValueError(f"its configuration asks for a value from elsewhere, which is never done ({asked[0]!r:.60})")
    return typed(studies[name].Config, loaded)


def typed(schema: type, loaded: dict[str, Any]) -> Any:
    """A configuration as its dataclass; a value that does not fit is a ValueError."""
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), loaded))
    except Exception as error:  # of whatever kind OmegaConf or a schema raises on what anybody wrote
        raise ValueError(f"its configuration does not fit this version ({str(error).splitlines()[0]})") from error


def _texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for pair in node.items() for child in pair for text in _texts(child)]
    if isinstance(node, list):
        return [text for child in node for text in _texts(child)]
    return [node] if isinstance(node, str) else []
