"""The output directory of a job holds one configuration: others are refused before a byte is written."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.running import files
from experiments.running.claims import Claims, described, holder
from experiments.running.status import standing
from experiments.running.study import UserError

LOCK_SECONDS = 90.0  # a dead process's lock is taken over after STALE_SECONDS
REMEDY = "Choose another directory with hydra.run.dir=DIR, or move that one away; nothing was touched."


def refuse_foreign(directory: Path, identity: str) -> None:
    """Refuse a directory that holds the results of another configuration, or is being filled by one."""
    found = None
    with contextlib.suppress(OSError, ValueError):
        found = files.read_json(directory / "summary.json").get("identity")
    if found not in (None, identity):
        raise UserError(
            f"{directory} already holds the results of another configuration (see its summary.json). {REMEDY}"
        )
    for path in directory.glob("status*.json"):
        status = standing(path)
        if status.get("live") and status.get("identity") not in (None, identity):
            raise UserError(f"{directory} is being filled by another configuration ({described(status)}). {REMEDY}")


def enter(directory: Path, identity: str, begin: Callable[[], Any]) -> None:
    """Make the directory this configuration's; `begin` writes its first files while nobody else can.

    Raises:
        UserError: it is another configuration's; of several that start together, one enters.
        StoreError: it cannot be written.
    """
    refuse_foreign(directory, identity)
    files.make_directory(directory)
    with _locked(directory):
        refuse_foreign(directory, identity)
        begin()
    files.sweep(directory)


def leave_configuration(directory: Path, config: DictConfig, words: list[str]) -> None:
    """The files by which a run is known for what it is, where Hydra would leave them."""
    own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    OmegaConf.resolve(own)
    files.make_directory(directory / ".hydra")
    for name, content in (("config", own), ("overrides", OmegaConf.create(words))):
        files.write_bytes(directory / f".hydra/{name}.yaml", OmegaConf.to_yaml(content).encode())


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    lock, path, end = Claims(), directory / ".lock", time.monotonic() + LOCK_SECONDS
    while not lock.take(path):
        if time.monotonic() > end:
            raise UserError(f"{path} is held by {described(holder(path) or {})}; remove it if that is long gone.")
        time.sleep(0.02)
    try:
        yield
    finally:
        lock.release(path)
