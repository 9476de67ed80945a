"""What is saved inside a unit: the lanes already done, in one atomic file beside it.

`tlx.ensemble` computes a unit call by call. At least every `checkpoint.seconds` (or after every call, where one takes
longer) the results so far are written as a NumPy archive behind its SHA-256; a process that takes the unit up again
goes on after the last saved lane. The archive says which unit, format and version it is of; one of another is set
aside. Whether its arrays have the structure that the unit computes now is for `tlx.ensemble` to judge.
"""

import hashlib
import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np

from experiments.running.files import read_bytes, write_bytes
from experiments.running.unit_file import FORMAT, VERSION

DIGEST = 64  # hexadecimal characters of SHA-256 before the archive
LABEL = "label"  # the archive's entry that says what it is of


class Journal:
    """The journal of one unit, as `tlx.ensemble.journal` takes it; `fault` says why a saved one was set aside."""

    def __init__(self, path: Path, seconds: float | None) -> None:
        self.path = path
        self.seconds = seconds
        self.saved = self.kept = time.monotonic()
        self.written = False
        self.before, self.fault = ({}, "") if seconds is None else _load(path)
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
        arrays = {LABEL: np.frombuffer(json.dumps(_label(self.path)).encode(), np.uint8)}
        for call, pieces in list(self.pieces.items()):
            for i, parts in enumerate(zip(*list(pieces), strict=True)):
                arrays[f"{call}.{i}"] = np.concatenate(parts)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
        write_bytes(self.path, hashlib.sha256(content).hexdigest().encode() + content)
        self.saved = time.monotonic()
        self.written = True


def _label(path: Path) -> dict[str, str | int]:
    return {"unit": path.stem, "format": FORMAT, "tlx": VERSION}


def _load(path: Path) -> tuple[dict[int, list[np.ndarray]], str]:
    """The saved leaves by call, and why there are none though there is a file."""
    try:
        content = read_bytes(path)
        if hashlib.sha256(content[DIGEST:]).hexdigest().encode() != content[:DIGEST]:
            return {}, "is damaged (its checksum differs)"
        with np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False) as archive:
            if LABEL not in archive.files:
                return {}, "is of tlx 0.1"
            label = json.loads(archive[LABEL].tobytes())
            if label != _label(path):
                return {}, f"is of another unit or version ({label})"
            names = sorted(set(archive.files) - {LABEL}, key=lambda name: tuple(map(int, name.split("."))))
            out: dict[int, list[np.ndarray]] = {}
            for name in names:
                out.setdefault(int(name.split(".")[0]), []).append(archive[name])
            return out, ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return {}, f"cannot be read ({type(error).__name__})"
