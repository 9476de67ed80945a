"""The command line of every study: compose, check, compute what is missing, store, draw, and say how it went."""

import contextlib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.running import compose as _compose
from experiments.running import console as _console
from experiments.running import help as _help
from experiments.running import job as _job
from experiments.running import multirun as _sweep
from experiments.running import store as _store
from experiments.running import study as _study
from experiments.running.signals import Stopped
from experiments.running.study import Study, UserError


def main(study: type[Study]) -> None:
    """Run a study with the overrides on the command line."""
    own = study().in_its_module()
    _compose.register(own)
    multirun = any(flag in sys.argv for flag in ("-m", "--multirun"))
    try:
        words = [word for word in sys.argv[1:] if not word.startswith("-")]
        _compose.check(own, words)
        if _told(own, words):
            return
        if not any(word.startswith("-") for word in sys.argv[1:]):
            _preflight(own, words)
    except UserError as error:
        _console.fail(str(error))
        raise SystemExit(2) from None
    program = hydra.main(version_base="1.3", config_path=str(_compose.CONF), config_name=own.name)(Job(own))
    if not multirun:
        program()
        return
    code: Any = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    raise SystemExit(1 if _sweep.report() and not code else code)


def _told(study: Study, words: list[str]) -> bool:
    """Answer --presets, and --help KEY; whether that was asked."""
    if "--presets" in sys.argv:
        print(_help.presets(study.name))
        return True
    asked = [word for word in words if "=" not in word] if "--help" in sys.argv else []
    if not asked:
        return False
    config = _compose.composed(study, [word for word in words if "=" in word])
    for key in asked:
        found = _help.about_keys(study.Config, config, key)
        if not found:
            raise UserError(f"{study.name} has no key {key}; --help lists all of them.")
        print(found)
    return True


def _preflight(study: Study, words: list[str]) -> None:
    """Compose once without running anything, so that a misspelt key or wrong type is one readable message."""
    directory = Path(_compose.composed(study, words).hydra.run.dir)
    if not ((directory / "summary.json").exists() and (directory / ".hydra").exists()):
        _study.writable(directory)


@dataclass(frozen=True)
class Job:
    """One job of a study, as Hydra's launchers call it; they may send it to other processes."""

    study: Study

    def __call__(self, config: DictConfig) -> None:
        """Run the job in the directory that Hydra has chosen."""
        hydra_config = HydraConfig.get()
        directory = Path(hydra_config.runtime.output_dir)
        alone = hydra_config.mode.name != "MULTIRUN"
        try:
            _job.run(self.study, OmegaConf.to_object(config), directory, command=_command(hydra_config))
        except (UserError, _store.StoreError, _job.UnitsFailed) as error:
            _console.fail(str(error))
            _leave_status(directory, error, hydra_config)
            if alone:
                raise SystemExit(1 if isinstance(error, _job.UnitsFailed) else 2) from None
            raise
        except Stopped as stopped:
            _console.fail(f"stopped by {stopped}; what is finished is kept, and the same command goes on from there.")
            raise SystemExit(stopped.code) from None
        except Exception as error:
            _leave_status(directory, error, hydra_config)
            raise


def _leave_status(directory: Path, error: Exception, hydra_config: Any) -> None:
    """A failed job's status and traceback, unless its units have already said what failed."""
    if isinstance(error, _job.UnitsFailed):
        return
    with contextlib.suppress(_store.StoreError):
        line = f"{type(error).__name__}: {error}"
        status = {"state": "failed", "error": line, "failed": {}, "command": _command(hydra_config)}
        _store.write_json(directory / "status.json", status)
        _store.write_bytes(directory / "traceback.txt", "".join(traceback.format_exception(error)).encode())


def _command(hydra_config: Any) -> str:
    return " ".join(["python -m", f"experiments.{hydra_config.job.name}", *hydra_config.overrides.task])
