"""The command line of every study: compose, check, compute what is missing, store, draw, and say how it went."""

import contextlib
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.linear import config as _schemas
from experiments.running import console as _console
from experiments.running import help as _help
from experiments.running import multirun as _sweep
from experiments.running import store as _store
from experiments.running import study as _study
from experiments.running.job import UnitsFailed, load, run
from experiments.running.signals import Stopped
from experiments.running.study import UserError

__all__ = ["load", "main", "run"]

CONF = Path(__file__).resolve().parents[2] / "conf"


def main(name: str) -> None:
    """Run the study called `name` with the overrides on the command line."""
    _schemas.register()
    multirun = any(flag in sys.argv for flag in ("-m", "--multirun"))
    if not multirun and not any(a.startswith("-") for a in sys.argv[1:]):
        _preflight(name, sys.argv[1:])
    program = hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(run_job)
    if not multirun:
        program()
        return
    code: Any = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    raise SystemExit(1 if _sweep.report() and not code else code)


def _preflight(name: str, overrides: list[str]) -> None:
    """Compose once without running anything, so that a misspelt key or wrong type is one readable message."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = compose(name, overrides=overrides, return_hydra_config=True)
        directory = Path(composed.hydra.run.dir)
    except (HydraException, OmegaConfBaseException) as error:
        _console.fail(_foreign(name, overrides) or _explain(name, error))
        raise SystemExit(2) from None
    if not _finished_before(directory):
        try:
            _study.writable(directory)
        except UserError as error:
            _console.fail(str(error))
            raise SystemExit(2) from None


def _finished_before(directory: Path) -> bool:
    return (directory / "summary.json").exists() and (directory / ".hydra").exists()


def _foreign(name: str, overrides: list[str]) -> str:
    """What to say of a preset that belongs to another study, whose keys are unknown here; "" if there is none."""
    for preset in (word.removeprefix("experiment=") for word in overrides if word.startswith("experiment=")):
        owner = _help.owner(preset)
        if owner not in (None, name):
            return f"preset {preset} belongs to experiments.{owner}, not experiments.{name}; run that one."
    return ""


def _explain(name: str, error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.lstrip().startswith("To append")]
    if error.__cause__ is not None:
        lines += [line for line in str(error.__cause__).splitlines() if line.strip() and line not in lines]
    keep = [line for line in lines if not line.strip().startswith(("reference_type", "object_type"))]
    keys = _keys(OmegaConf.structured(_schemas.SCHEMAS[name]))
    for line in lines:
        if line.startswith("Could not override '"):
            wrong = line.split("'")[1]
            close = get_close_matches(wrong, keys, 1, 0.6)
            keep.append(f"Did you mean {close[0]}?" if close else f"--help lists the keys of {name}.")
    return "\n  ".join(dict.fromkeys(keep))


def _keys(node: DictConfig, prefix: str = "") -> list[str]:
    out = []
    for key in node:
        child = node._get_node(key)
        out += _keys(child, f"{prefix}{key}.") if isinstance(child, DictConfig) else [f"{prefix}{key}"]
    return out


def run_job(config: DictConfig) -> None:
    """One job of any study (module level, so that launchers can send it to other processes)."""
    hydra_config = HydraConfig.get()
    directory = Path(hydra_config.runtime.output_dir)
    alone = hydra_config.mode.name != "MULTIRUN"
    try:
        run(OmegaConf.to_object(config), directory, command=_command(hydra_config))
    except (UserError, _store.StoreError, UnitsFailed) as error:
        _console.fail(str(error))
        _leave_status(directory, error, hydra_config)
        if alone:
            raise SystemExit(1 if isinstance(error, UnitsFailed) else 2) from None
        raise
    except Stopped as stopped:
        _console.fail(f"stopped by {stopped}; what is finished is kept, and the same command goes on from there.")
        raise SystemExit(stopped.code) from None
    except Exception as error:
        _leave_status(directory, error, hydra_config)
        raise


def _leave_status(directory: Path, error: Exception, hydra_config: Any) -> None:
    """A failed job's status and traceback, unless its units have already said what failed."""
    if isinstance(error, UnitsFailed):
        return
    with contextlib.suppress(_store.StoreError):
        line = f"{type(error).__name__}: {error}"
        status = {"state": "failed", "error": line, "failed": {}, "command": _command(hydra_config)}
        _store.write_json(directory / "status.json", status)
        _store.write_bytes(directory / "traceback.txt", "".join(traceback.format_exception(error)).encode())


def _command(hydra_config: Any) -> str:
    return " ".join(["python -m", f"experiments.{hydra_config.job.name}", *hydra_config.overrides.task])
