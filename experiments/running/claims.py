"""Who computes a unit: one claim file each, so that any number of processes can work on the same sweep.

A claim names its host and process and is touched every few seconds. It is stale when its process is gone (same host)
or it was not touched for STALE_SECONDS (another host); a stale claim is taken over. Claims only save work: units are
immutable and written whole, so two processes computing the same one would harm nothing.
"""

import contextlib
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from experiments.running.store import unwritable

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


def machine() -> str:
    """This host, and within it the process numbering (containers on one host do not see each other's processes)."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


def _started(pid: int) -> str | None:
    """When a process of this host started, in its own clock; None if it is gone ("" where that cannot be told)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""


class Claims:
    """The claims this process holds."""

    def __init__(self) -> None:
        self.held: set[Path] = set()
        self.me = {"host": machine(), "pid": os.getpid(), "started": _started(os.getpid()), "token": uuid.uuid4().hex}

    def take(self, path: Path) -> bool:
        """Claim a unit; False if another live process has it."""
        content = json.dumps(self.me).encode()
        for _ in range(2):
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                if not self._bury(path):
                    return False
                continue
            except OSError as error:
                raise unwritable(path, error) from error
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            self.held.add(path)
            return True
        return False

    def _bury(self, path: Path) -> bool:
        """Take a stale claim out of the way; of several processes that try, one succeeds."""
        found = holder(path)
        if found is None:  # given back in between
            return True
        if not is_stale(path, found):
            return False
        grave = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            os.rename(path, grave)
        except OSError:
            return False
        mine = holder(grave) == found
        if not mine:  # somebody had taken it over in between: put the live claim back
            with contextlib.suppress(OSError):
                os.link(grave, path)
        grave.unlink(missing_ok=True)
        return mine

    def beat(self) -> None:
        """Show that the holder is alive."""
        for path in list(self.held):
            with contextlib.suppress(OSError):
                os.utime(path)

    def release(self, path: Path) -> None:
        """Give one claim back."""
        self.held.discard(path)
        if (holder(path) or {}).get("token") == self.me["token"]:
            path.unlink(missing_ok=True)

    def release_all(self) -> None:
        """Give everything back."""
        for path in list(self.held):
            with contextlib.suppress(OSError):
                self.release(path)


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds a claim: host, pid; {} for a claim that is being written; None if there is none."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def is_stale(path: Path, found: dict[str, Any]) -> bool:
    """Whether the holder of a claim is gone."""
    if found.get("host") == machine() and isinstance(found.get("pid"), int):
        started = _started(found["pid"])
        return started is None or (started != "" and found.get("started") not in ("", started))
    try:
        age = _now(path.parent) - path.stat().st_mtime
    except OSError:
        return False
    return age > STALE_SECONDS


def _now(directory: Path) -> float:
    """The time by the clock of the file system, which is the one that dates claims."""
    probe = directory / f".clock.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        probe.unlink(missing_ok=True)
