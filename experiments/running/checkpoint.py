"""What is saved inside a unit: the lanes already done, in one atomic file beside it.

`tlx.ensemble` computes a unit call by call. At least every `checkpoint.seconds` (or after every call, where one takes
longer) the results so far are written as a NumPy archive behind its SHA-256; a process that takes the unit up again
goes on after the last saved lane.
"""

import hashlib
import io
import time
import zipfile
from pathlib import Path

import numpy as np

from experiments.running import store as _store

DIGEST = 64  # hexadecimal characters of SHA-256 before the archive


class Journal:
    """The journal of one unit, as `tlx.ensemble.journal` takes it."""

    def __init__(self, path: Path, seconds: float | None) -> None:
        self.path = path
        self.seconds = seconds
        self.saved = self.kept = time.monotonic()
        self.written = False
        self.before = {} if seconds is None else _load(path)
        self.pieces: dict[int, list[list[np.ndarray]]] = {}

    def resume(self, call: int) -> list[np.ndarray] | None:
        """Leaves of the lanes of the call-th run that were saved before, or None."""
        return self.before.get(call)

    def keep(self, call: int, pieces: list[list[np.ndarray]]) -> None:
        """Take note of the lanes done so far; write them if the interval would end before the next call does."""
        self.pieces[call] = pieces
        self.written = False
        now = time.monotonic()
        length, self.kept = now - self.kept, now
        if self.seconds is not None and now - self.saved + length >= self.seconds:
            self.save()

    def save(self) -> None:
        """Write everything done so far."""
        if self.seconds is None or self.written or not self.pieces:
            return
        arrays = {}
        for call, pieces in self.pieces.items():
            for i, parts in enumerate(zip(*list(pieces), strict=True)):
                arrays[f"{call}.{i}"] = np.concatenate(parts)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
        _store.write_bytes(self.path, hashlib.sha256(content).hexdigest().encode() + content)
        self.saved = time.monotonic()
        self.written = True


def _load(path: Path) -> dict[int, list[np.ndarray]]:
    """The saved leaves by call; nothing if the file is missing or not whole."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).hexdigest().encode() != content[:DIGEST]:
            return {}
        with np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False) as archive:
            names = sorted(archive.files, key=lambda name: tuple(map(int, name.split("."))))
            out: dict[int, list[np.ndarray]] = {}
            for name in names:
                out.setdefault(int(name.split(".")[0]), []).append(archive[name])
            return out
    except (OSError, ValueError, zipfile.BadZipFile):
        return {}
