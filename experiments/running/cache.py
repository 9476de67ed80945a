"""Compiled programs kept between runs, in the user's cache folder, so that only the first run of a study compiles.

JAX writes the entries of its own cache in place and without a lock, so that a folder shared by several processes can
hold half of one for ever. Here JAX sees a private folder of its process, on the disk of its node. Entries are copied in
from the shared folder at the start, and out to it as they are made, under a temporary name and then renamed. Each
carries the checksum of its content in its name. Nothing that goes wrong here ends a study.
"""

import atexit
import contextlib
import hashlib
import os
import platform
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import jax
import jaxlib

MAX_BYTES = 2**29
MIN_FREE_BYTES = 2**27  # less space than this on the node's disk, and nothing is kept
COMPILED = "/jax/core/compile/backend_compile_duration"

_active: list["Cache"] = []  # at most one: JAX takes the folder when it compiles first, and keeps it


def use_compilation_cache(
    directory: Path | str | None = None,
    *,
    local: Path | str | None = None,
    max_bytes: int = MAX_BYTES,
    say: Callable[[str], None] = print,
) -> "Cache | None":
    """Keep compiled programs in a folder, and use those that are there. Call it before anything is compiled.

    Args:
        directory: shared by all processes that may; None: `tlx` in XDG_CACHE_HOME or ~/.cache.
        local: where this process's private folder is made; None: the system's folder for temporary files.
        max_bytes: of the shared folder, all versions together; the oldest entries go first.
        say: told, in one line, of a damaged entry or of a folder that cannot be used.

    Returns:
        The cache, or None where there is none: JAX_COMPILATION_CACHE_DIR is set (JAX then keeps its own), or a folder
        cannot be written. The same one at every call of a process.
    """
    if _active:
        return _active[0]
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return None
    try:
        cache = Cache(default_directory() if directory is None else Path(directory), local, max_bytes, say)
    except OSError as error:
        say(f"compiled programs are not kept ({error}); name a folder that can be written, or turn the cache off.")
        return None
    _active.append(cache)
    return cache


def default_directory() -> Path:
    """`tlx` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tlx"


def version() -> str:
    """The name of the folder whose entries this process can run: of its JAX and of its processor's instructions."""
    flags = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    machine = hashlib.blake2b(f"{platform.machine()}{flags}".encode(), digest_size=4).hexdigest()
    return f"jax-{jax.__version__}-jaxlib-{jaxlib.__version__}-{machine}"


class Cache:
    """A shared folder, and this process's private copy of it, which JAX reads and writes."""

    def __init__(self, root: Path, local: Path | str | None, max_bytes: int, say: Callable[[str], None]) -> None:
        self.root, self.shared, self.max_bytes, self.say = root, root / version(), max_bytes, say
        self.lock, self.failed = threading.Lock(), False
        self.shared.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(Path(local or tempfile.gettempdir()))
        self.private = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-", dir=local))
        atexit.register(self.close)
        if shutil.disk_usage(self.private).free < MIN_FREE_BYTES:
            raise OSError(f"no space left at {self.private}")
        self.kept = {path.name for path in self._adopted()}
        jax.config.update("jax_compilation_cache_dir", str(self.private))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # they hold paths, which differ here
        jax.monitoring.register_event_duration_secs_listener(self._compiled)

    def _adopted(self) -> list[Path]:
        """Copy the sound entries of the shared folder; remove the damaged ones, and say so."""
        found = []
        for path in self.shared.iterdir():
            name, _, digest = path.name.rpartition(".")
            if not name or name.startswith("."):
                continue
            with contextlib.suppress(OSError):  # another process has just removed it
                content = path.read_bytes()
                if _digest(content) == digest:
                    (self.private / name).write_bytes(content)
                    found.append(self.private / name)
                else:
                    self.say(f"a kept program is damaged and is compiled again ({path.name})")
                    path.unlink(missing_ok=True)
        return found

    def _compiled(self, event: str, _: float, **__: object) -> None:
        if event == COMPILED:
            self.publish()

    def publish(self) -> None:
        """Put what was compiled since the last call into the shared folder."""
        with self.lock:
            try:
                fresh = [path for path in self.private.iterdir() if path.name not in self.kept]
                for path in fresh:
                    self.kept.add(path.name)
                    if not self.failed:
                        self._put(path)
                if fresh and not self.failed:
                    self._evict()
            except OSError as error:
                if not self.failed:
                    self.say(f"compiled programs are no longer kept ({error}); the study goes on.")
                self.failed = True

    def _put(self, path: Path) -> None:
        content = path.read_bytes()
        temporary = self.shared / f".{path.name}.{socket.gethostname()}-{os.getpid()}"
        try:
            temporary.write_bytes(content)
            os.replace(temporary, self.shared / f"{path.name}.{_digest(content)}")
        finally:
            temporary.unlink(missing_ok=True)

    def _evict(self) -> None:
        """Remove the oldest entries, of whatever version, until the rest is small enough."""
        entries = []
        for path in self.root.glob("jax-*/*"):
            with contextlib.suppress(OSError):
                found = path.stat()
                entries.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def close(self) -> None:
        """Remove the private folder; what it held is in the shared one."""
        shutil.rmtree(self.private, ignore_errors=True)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _prefix() -> str:
    return f"tlx-compiled-{socket.gethostname()}-"


def _remove_abandoned(local: Path) -> None:
    """Private folders of processes of this host that were killed."""
    for path in local.glob(f"{_prefix()}*"):
        with contextlib.suppress(OSError, ValueError):
            process = int(path.name.removeprefix(_prefix()).split("-")[0])
            try:
                os.kill(process, 0)
            except ProcessLookupError:
                shutil.rmtree(path, ignore_errors=True)
