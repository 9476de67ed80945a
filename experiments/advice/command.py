"""A command that is no study but has its manners: overrides, help, sweeps, directories and one-line refusals."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.running import compose, console, files, output
from experiments.running.study import UserError

KNOWN = (UserError, files.StoreError)
_GRAMMAR = "'\"[{(\\"  # a value that begins with one of these is the user's own quoting


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: of the module under experiments.
        Config: the dataclass of everything that may be configured, with a field `study`.
        about: what --help begins with.
        run: of the typed configuration, the output directory and the command's words.
        check: every check that can be made before anything is written.
        files: keys whose values are paths; they need no quoting on the command line.
        leaves: what the output directory gets, as --help says it.
    """

    name: str
    Config: type
    about: str
    run: Callable[[Any, Path, str], Any]
    check: Callable[[Any], None] = lambda config: None
    files: tuple[str, ...] = ()
    leaves: str = "its files."


def main(command: Command, arguments: list[str]) -> None:
    """Run a command with the overrides among `arguments` (the program's name first)."""
    output.occupy()
    if len(arguments) == 1:
        arguments = [*arguments, "--help"]
    several = any(flag in arguments for flag in ("-m", "--multirun"))
    words = [word if word.startswith("-") or several else quoted(command, word) for word in arguments[1:]]
    sys.argv = [arguments[0], *words]
    try:
        compose.register(command)  # type: ignore[arg-type]  # what it needs of a study is name, Config and about
        if not any(word.startswith("-") for word in words):
            command.check(typed(command, words))
    except KNOWN as error:
        console.fail(str(error))
        raise SystemExit(error.code) from None

    def job(config: DictConfig) -> None:
        own = HydraConfig.get()
        said = " ".join(["python -m", f"experiments.{command.name}", *own.overrides.task])
        try:
            command.run(compose.typed(command, config), Path(own.runtime.output_dir), said)  # type: ignore[arg-type]
        except KNOWN as error:
            console.fail(str(error))
            raise SystemExit(error.code) from None

    hydra.main(version_base="1.3", config_path=str(compose.CONF), config_name=command.name)(job)()


def typed(command: Command, words: list[str]) -> Any:
    """The configuration of a command's words, as its dataclass."""
    return compose.typed(command, compose.composed(command, words))  # type: ignore[arg-type]


def quoted(command: Command, word: str) -> str:
    """A word in Hydra's grammar: paths may hold any character, and output=DIR is hydra.run.dir=DIR."""
    key, equals, value = word.partition("=")
    key = "hydra.run.dir" if key == "output" else key
    if not equals or key not in (*command.files, "hydra.run.dir", "label", "delimiter") or not value:
        return f"{key}{equals}{value}"
    if value[0] in _GRAMMAR or (key == "hydra.run.dir" and "$" in value):
        return f"{key}={value}"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{escaped}'"
