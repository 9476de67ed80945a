"""Who computes a unit: one claim file each, so that any number of processes can work on the same sweep.

A claim names its host, boot and process and is touched every few seconds. It is stale when its process is gone (same
host and boot) or it was not touched for STALE_SECONDS (any other, and a process that is stopped); a stale claim is
taken over. Claims only save work: units are immutable and written whole, so two processes computing the same one would
harm nothing.
"""

import contextlib
import functools
import json
import os
import socket
import uuid
from pathlib import Path
from typing import Any

from experiments.running.files import now, read_json, temporary, unwritable

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


def machine() -> str:
    """This host, and within it the process numbering (containers on one host do not see each other's processes)."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


@functools.cache
def boot() -> str:
    """This start of this host: process numbers mean nothing after another. Empty where that cannot be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of a process after its name: state first, start time at 19."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def started(pid: int) -> str | None:
    """When a process of this host started, in its own clock; None if it is gone ("" where that cannot be told)."""
    try:
        fields = _stat(pid)
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        return ""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        pass
    return ""


def me() -> dict[str, Any]:
    """This process, as claims and status files name it."""
    return {"host": machine(), "boot": boot(), "pid": os.getpid(), "started": started(os.getpid())}


def is_here(found: dict[str, Any]) -> bool:
    """Whether a process so named would be one of this host, in this boot, that can be asked after by its number."""
    same = found.get("host") == machine() and found.get("boot", boot()) == boot()
    return same and isinstance(found.get("pid"), int)


def is_gone(found: dict[str, Any]) -> bool:
    """Whether the process so named, which `is_here`, has ended."""
    begun = started(found["pid"])
    return begun is None or (begun != "" and found.get("started") not in ("", begun))


class Claims:
    """The claims this process holds."""

    def __init__(self) -> None:
        self.held: set[Path] = set()
        self.me = {**me(), "token": uuid.uuid4().hex}

    def take(self, path: Path) -> bool:
        """Claim a unit; False if another live process has it."""
        content = json.dumps(self.me).encode()
        for _ in range(2):
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                if not self._bury(path):
                    return False
                continue
            except OSError as error:
                raise unwritable(path, error) from error
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
            except OSError as error:
                with contextlib.suppress(OSError):
                    path.unlink()
                raise unwritable(path, error) from error
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
        grave = temporary(path)
        try:
            os.rename(path, grave)
        except OSError:
            return False
        mine = holder(grave) == found
        if not mine:  # somebody had taken it over in between: put the live claim back
            with contextlib.suppress(OSError):
                os.link(grave, path)
        with contextlib.suppress(OSError):
            grave.unlink()
        return mine

    def beat(self) -> None:
        """Show that the holder is alive."""
        for path in list(self.held):
            with contextlib.suppress(OSError):
                os.utime(path)

    def release(self, path: Path) -> None:
        """Give one claim back."""
        self.held.discard(path)
        with contextlib.suppress(OSError):
            if (holder(path) or {}).get("token") == self.me["token"]:
                path.unlink(missing_ok=True)

    def release_all(self) -> None:
        """Give everything back."""
        for path in list(self.held):
            self.release(path)


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds a claim: host, boot, pid; {} for a claim that is being written or is none; None if there is none."""
    try:
        return read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def is_stale(path: Path, found: dict[str, Any]) -> bool:
    """Whether the holder of a claim is gone, or has been silent so long that nobody should wait for it."""
    if is_here(found) and is_gone(found):
        return True
    try:
        return now(path.parent) - path.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False


def described(found: dict[str, Any]) -> str:
    """A holder in words, with what it is worth knowing: that it is stopped and will not go on by itself."""
    words = f"{found.get('host', 'an unknown host')}, process {found.get('pid', 'unknown')}"
    with contextlib.suppress(OSError, IndexError):
        if is_here(found) and _stat(found["pid"])[0] in "Tt":
            return f"{words}, which is stopped (kill -CONT {found['pid']} lets it go on)"
    return words
