"""Whole files or none: what is written is written under a temporary name, synced and renamed; what is read is a file.

Temporary names start with a dot, end with TEMPORARY and hold 64 random bits; those that a kill left behind are swept
after a day.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np

TEMPORARY = ".tmp"
OLD_SECONDS = 86400.0
# ours, and those of version 0.1: .NAME.PROCESS.HEX, .clock.PROCESS.HEX, .probe.PROCESS
_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{16}\.tmp|\..+\.\d+\.[0-9a-f]{8}|\.[^.].*\.claim\.[0-9a-f]{8}|\.probe\.\d+")


class StoreError(Exception):
    """A file could not be written or is not what it should be; the message names it and the remedy."""

    code = 2  # of the command


def unwritable(path: Path, error: OSError) -> StoreError:
    """The message for a path that cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "Free some space" if full else "Choose another directory (hydra.run.dir=DIR, for units store=DIR)"
    return StoreError(
        f"{path} could not be written ({error.strerror or error}). {remedy} and run the same command again; what is "
        "already there is untouched."
    )


def plain(value: Any) -> Any:
    """Arrays as lists, for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be part of a scientific configuration")


def temporary(path: Path) -> Path:
    """A name beside `path` that nobody can foresee."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY}")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: temporary name, fsync, rename."""
    beside = temporary(path)
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON file, whole or not at all."""
    write_bytes(path, json.dumps(content, indent=1, default=plain).encode())


def read_bytes(path: Path) -> bytes:
    """The content of a plain file.

    Raises:
        OSError: it is missing, cannot be read, or is no plain file (reading a pipe would wait for ever).
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as handle:
        if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return handle.read()


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        OSError: as `read_bytes`.
        ValueError: it holds something else.
    """
    try:
        content = json.loads(read_bytes(path))
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content


def make_directory(directory: Path) -> None:
    """Make a directory, or say clearly why not."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(directory, error) from error


def now(directory: Path) -> float:
    """The time by the clock of this directory's file system, which is the one that dates its files."""
    probe = temporary(directory / "clock")
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def sweep(directory: Path) -> None:
    """Remove the temporary files in a directory that kills left behind more than a day ago."""
    with contextlib.suppress(OSError):
        found = [path for path in directory.glob(".*") if _LEFT_BEHIND.fullmatch(path.name)]
        before = now(directory) - OLD_SECONDS if found else 0.0
        for path in found:
            with contextlib.suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
                    path.unlink()
