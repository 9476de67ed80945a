"""The door for Python: run a study by name or as an object, with the checks, files and resumption of its command."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from experiments.running import compose as _compose
from experiments.running import console as _console
from experiments.running import folder as _folder
from experiments.running import help as _help
from experiments.running import job as _job
from experiments.running import legacy as _legacy
from experiments.running.study import Study, UserError

COMMANDS = Path(__file__).resolve().parents[1]
NO_STUDIES = frozenset({"collect", "paper", "plan", "runs"})  # commands that run none, and are never looked up here


def run(
    study: str | Study,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    directory: str | Path | None = None,
    quiet: bool = False,
) -> xr.Dataset:
    """Compute what is missing of a study, write what its command writes, and return results.nc.

    Args:
        study: its name, such as "phase_diagram", or a `Study`.
        overrides: "key=value" words as on the command line, or a dict, nested or with dotted keys.
        directory: where the run goes; None: where the command with the same overrides puts it.
        quiet: say nothing.

    Returns:
        The finished data set; empty if there is none (plan=true, or a shard whose others are not done).

    Raises:
        UserError: the request cannot be carried out; a ValueError with the command's own sentence.
        UnitsFailed: some units failed; those that did not are kept.
    """
    own = find(study) if isinstance(study, str) else study
    given = words(overrides)
    with _console.silent(quiet):
        config = _compose.composed(own, given)
        place = Path(config.hydra.run.dir if directory is None else directory)
        command = " ".join(["python -m", f"experiments.{own.name}", *given])
        _job.run(
            own, _compose.typed(own, config), place, command, lambda: _folder.leave_configuration(place, config, given)
        )
    if config.plan or not (place / "results.nc").exists():
        return xr.Dataset()
    with xr.open_dataset(place / "results.nc") as data:
        return _legacy.modern(data.load())


def words(overrides: Sequence[str] | Mapping[str, Any], prefix: str = "") -> list[str]:
    """Overrides as the words of a command line."""
    if isinstance(overrides, str):
        raise UserError(f"overrides = {overrides!r} is one string; give a list of them, or a dict.")
    if not isinstance(overrides, Mapping):
        return [str(word) for word in overrides]
    out = []
    for key, value in overrides.items():
        if isinstance(value, Mapping):
            out += words(value, f"{prefix}{key}.")
        else:
            out.append(f"{prefix}{key}={_written(value)}")
    return out


def _written(value: Any) -> str:
    """A value in Hydra's grammar."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    return str(getattr(value, "value", value))


def studies() -> list[str]:
    """The names of all studies."""
    return sorted({path.stem for path in COMMANDS.glob("[a-z]*.py")} - NO_STUDIES)


def presets(study: str | Study) -> list[str]:
    """The names of a study's presets, as experiment=NAME takes them."""
    return _help.preset_names((find(study) if isinstance(study, str) else study).name)


def find(name: str) -> Study:
    """The study called `name`."""
    if name not in studies():
        raise UserError(f"there is no study called {name!r}; choose from {', '.join(studies())}.")
    module = importlib.import_module(f"experiments.{name}")
    own = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Study)]
    return next(c() for c in own if c.__module__ == module.__name__)
