"""The command line of every study: compose, check, compute what is missing, store, draw, and say how it went."""

import contextlib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.running import compose, console, files, folder, hosts, job, multirun, output
from experiments.running import help as helps
from experiments.running.signals import Stopped, leave_with_launcher
from experiments.running.study import Study, UserError, writable

KNOWN = (UserError, files.StoreError, job.UnitsFailed, hosts.HostLost)  # said in one message, without traceback


def main(study: type[Study]) -> None:
    """Run a study with the overrides on the command line."""
    output.occupy()
    own = study().in_its_module()
    compose.register(own)
    several = any(flag in sys.argv for flag in ("-m", "--multirun"))
    try:
        words = [word for word in sys.argv[1:] if not word.startswith("-")]
        compose.check(own, words)
        if _told(own, words):
            return
        if not any(word.startswith("-") for word in sys.argv[1:]):
            _preflight(own, words)
    except KNOWN as error:
        console.fail(str(error))
        raise SystemExit(error.code) from None
    program = hydra.main(version_base="1.3", config_path=str(compose.CONF), config_name=own.name)(Job(own))
    if not several:
        program()
        return
    code: Any = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    raise SystemExit(multirun.report(code if isinstance(code, int) else int(code is not None)))


def _told(study: Study, words: list[str]) -> bool:
    """Answer --presets, --help and --help KEY; whether that was asked."""
    if "--presets" in sys.argv:
        print(helps.presets(study.name))
        return True
    if not {"--help", "-h"} & set(sys.argv):
        return False
    asked = [word for word in words if "=" not in word]
    config = compose.composed(study, [word for word in words if "=" in word])
    if not asked:  # Hydra's own --help takes longer: it lists all groups first, whether they are shown or not
        print(config.hydra.help.template)
    for key in asked:
        found = helps.about_keys(study.Config, config, key)
        if not found:
            raise UserError(f"{study.name} has no key {key}; --help lists all of them.")
        print(found)
    return True


def _preflight(study: Study, words: list[str]) -> None:
    """Refuse what cannot be carried out before Hydra writes anything."""
    composed = compose.composed(study, words)
    config, directory = compose.typed(study, composed), Path(composed.hydra.run.dir)
    if config.distributed.enabled:  # its checks need all processes
        return
    request = job.check(study, config, directory)
    if not config.plan and not (directory / "summary.json").exists():
        writable(directory)
        if config.store:
            writable(request.store.directory, "store")


@dataclass(frozen=True)
class Job:
    """One job of a study, as Hydra's launchers call it; they may send it to other processes."""

    study: Study

    def __call__(self, config: DictConfig) -> None:
        """Run the job in the directory that Hydra has chosen."""
        output.occupy()
        leave_with_launcher()
        hydra_config = HydraConfig.get()
        directory = Path(hydra_config.runtime.output_dir)
        alone = hydra_config.mode.name != "MULTIRUN"
        words = list(hydra_config.overrides.task)
        command = " ".join(["python -m", f"experiments.{hydra_config.job.name}", *words])
        try:
            typed = compose.typed(self.study, config)
            job.run(self.study, typed, directory, command, lambda: folder.leave_configuration(directory, config, words))
        except KNOWN as error:
            console.fail(str(error))
            if alone:
                raise SystemExit(error.code) from None
            _leave_refusal(directory, error, command)
            raise
        except (Stopped, KeyboardInterrupt) as stopped:
            console.fail(f"stopped by {stopped}; what is finished is kept, and the same command goes on from there.")
            raise SystemExit(getattr(stopped, "code", 130)) from None


def _leave_refusal(directory: Path, error: Exception, command: str) -> None:
    """In a multirun, a job that was refused before it had a status file gets one, where nothing else is."""
    note = directory / "traceback.txt"
    with contextlib.suppress(files.StoreError, OSError):
        if hosts.follows() or any(path.name not in ("status.json", note.name) for path in directory.iterdir()):
            return
        line = f"{type(error).__name__}: {error}"
        files.write_json(
            directory / "status.json", {"state": "failed", "error": line, "failed": {}, "command": command}
        )
        files.write_bytes(note, "".join(traceback.format_exception(error)).encode())
