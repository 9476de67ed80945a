"""Results on disk: immutable units of work, and the labelled data set they add up to.

A unit is one NetCDF file named by the hash of its scientific configuration (never of paths, devices or launchers),
written to a temporary file, synced and renamed, with a small JSON receipt beside it that holds its checksum. A unit
is finished when both exist, agree, and are those of its name: the receipt holds the configuration and axes whose hash
the name is, the file says the same, and its arrays fill these axes. Anything else is named and recomputed.

Beside a unit there may be `<name>.claim` (a process is computing it), `<name>.partial` (what that process has saved
of it) and `<name>.failed` (why the last attempt ended, with its traceback).
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import netCDF4
import numpy as np
import xarray as xr

from experiments.running import legacy, unit_file
from experiments.running.claims import holder, is_stale
from experiments.running.files import StoreError as StoreError
from experiments.running.files import make_directory as make_directory
from experiments.running.files import plain as _plain
from experiments.running.files import read_bytes, read_json
from experiments.running.files import unwritable as unwritable
from experiments.running.files import write_bytes as write_bytes
from experiments.running.files import write_json as write_json
from experiments.running.unit_file import FORMAT as FORMAT
from experiments.running.unit_file import VERSION
from experiments.running.unit_file import Arrays as Arrays

NUMBERS = 1  # raise it when the same configuration means other numbers: older units are then not found again
READ = (1, FORMAT)  # formats of receipts; version 0.1 wrote the first, which holds no axes


class State(NamedTuple):
    """What is on disk under a unit's name: its receipt if it is finished, else why not ("" if nothing is there)."""

    receipt: dict[str, Any] | None
    fault: str = ""


def fingerprint(science: dict[str, Any]) -> str:
    """Hash of a scientific configuration."""
    text = json.dumps({"format": NUMBERS, **science}, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def unit_name(study: str, science: dict[str, Any], axes: dict[str, Any]) -> str:
    """The name of a unit: what is computed, and on which values of the axes."""
    return f"{study}-{fingerprint(legacy.identity(science, axes))}"


def to_bytes(data: xr.Dataset) -> bytes:
    """A data set as one NetCDF-4 file in memory."""
    encoding = {name: {"zlib": True, "complevel": 1} for name in data.data_vars if data[name].size > 4096}
    return bytes(data.to_netcdf(engine="netcdf4", encoding=encoding))


def from_bytes(content: bytes) -> xr.Dataset:
    """A data set from a NetCDF file in memory: the bytes that were verified are the bytes that are read."""
    with netCDF4.Dataset("data", mode="r", memory=content) as file:
        return xr.open_dataset(xr.backends.NetCDF4DataStore(file)).load()


def version(receipt: dict[str, Any]) -> str:
    """The version that wrote a receipt, in words."""
    written = receipt.get("tlx", "0.1" if receipt.get("format") == 1 else "unknown")
    return f"tlx {written} (format {receipt.get('format')})"


class Units:
    """The units in one directory, which any number of jobs may share."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self._sound: dict[str, tuple[Any, State]] = {}  # verified before, with the stamps of the two files

    def path(self, name: str) -> Path:
        """Where the unit called `name` lives."""
        return self.directory / f"{name}.nc"

    def beside(self, name: str, kind: str) -> Path:
        """The file of this kind beside a unit: json, claim, partial or failed."""
        return self.directory / f"{name}.{kind}"

    def _stamps(self, name: str) -> Any:
        try:
            both = [path.stat() for path in (self.path(name), self.beside(name, "json"))]
        except OSError:
            return None
        return [(s.st_ino, s.st_size, s.st_mtime_ns) for s in both]

    def _verified(self, name: str) -> tuple[State, bytes]:
        try:
            receipt = read_json(self.beside(name, "json"))
        except (FileNotFoundError, NotADirectoryError):
            return State(None, "has no receipt" if self.path(name).exists() else ""), b""
        except OSError as error:
            return State(None, f"has a receipt that cannot be read ({error.strerror})"), b""
        except ValueError:
            return State(None, "has a damaged receipt (no JSON object)"), b""
        wrong = _receipt_fault(name, receipt)
        if wrong:
            return State(None, wrong), b""
        try:
            content = read_bytes(self.path(name))
        except OSError as error:
            return State(None, f"cannot be read ({error.strerror})"), b""
        wrong = _content_fault(receipt, content)
        return (State(None, wrong), b"") if wrong else (State(receipt), content)

    def state(self, name: str) -> State:
        """Whether the unit called `name` is finished and sound, and if not why."""
        stamps = self._stamps(name)
        before = self._sound.get(name)
        if before is not None and stamps is not None and before[0] == stamps:
            return before[1]
        state = self._verified(name)[0]
        if state.receipt is not None:
            self._sound[name] = (stamps, state)
        return state

    def receipt(self, name: str) -> dict[str, Any] | None:
        """The receipt of a finished unit, or None if it is missing, damaged or of another format."""
        return self.state(name).receipt

    def write(self, name: str, arrays: Arrays, receipt: dict[str, Any]) -> None:
        """Store a finished unit, the data first and its receipt (study, science, axes, ...) last.

        Raises:
            ValueError: an array does not fill the axes of the receipt.
        """
        make_directory(self.directory)
        identity = {"unit": name, "study": receipt["study"], "format": FORMAT, "tlx": VERSION}
        identity["axes"] = json.loads(json.dumps(receipt["axes"], default=_plain))
        for key, (dims, values) in arrays.items():
            wrong = unit_file.misfit(key, dims, values.shape, identity["axes"])
            if wrong:
                raise ValueError(f"unit {name} {wrong}; the study must return arrays on its axes.")
        content = unit_file.encode(arrays, identity)
        checksum = hashlib.sha256(content).hexdigest()
        write_bytes(self.path(name), content)
        write_json(self.beside(name, "json"), {**receipt, **identity, "bytes": len(content), "sha256": checksum})
        for leftover in ("failed", "partial"):
            with contextlib.suppress(OSError):
                self.beside(name, leftover).unlink(missing_ok=True)

    def read(self, name: str) -> Arrays:
        """The arrays of a unit, with their dimension names; what is read is what was verified."""
        state, content = self._verified(name)
        if state.receipt is None:
            raise StoreError(f"unit {name} in {self.directory} {state.fault or 'is missing'}; run its study again.")
        return unit_file.decode(content)

    def tidy(self, finished: Collection[str]) -> None:
        """Remove what a kill left beside finished units: what was saved, why they failed, who was at them."""
        with contextlib.suppress(OSError):
            for path in self.directory.iterdir():
                left = path.suffix in (".partial", ".failed") or (
                    path.suffix == ".claim" and is_stale(path, holder(path) or {})
                )
                if left and path.stem in finished:
                    path.unlink(missing_ok=True)

    def other_versions(self, known: Collection[str]) -> dict[str, int]:
        """How many units of which other versions lie here under names not in `known`."""
        found: Counter[str] = Counter()
        for path in self.directory.glob("*.json"):
            if path.stem not in known:
                with contextlib.suppress(OSError, ValueError):
                    receipt = read_json(path)
                    found[version(receipt)] += receipt.get("tlx") != VERSION
        return {name: count for name, count in found.items() if count}

    def move_to(self, other: "Units", names: list[str]) -> None:
        """Put these finished units in the place of those in `other`; may be repeated after a kill anywhere in it."""
        make_directory(other.directory)
        for name in names:
            for path in (self.path(name), self.beside(name, "json")):
                try:
                    if path.exists():
                        os.replace(path, other.directory / path.name)
                except OSError as error:
                    raise unwritable(other.directory / path.name, error) from error
        with contextlib.suppress(OSError):  # left while another job still computes into it
            self.directory.rmdir()

    def settle(self, other: "Units") -> None:
        """Finish a `move_to` that was killed between a unit's data and its receipt."""
        for receipt in self.directory.glob("*.json"):
            if not receipt.with_suffix(".nc").exists():
                with contextlib.suppress(OSError):  # the unit is then without receipt, and computed again
                    os.replace(receipt, other.directory / receipt.name)


def _receipt_fault(name: str, receipt: dict[str, Any]) -> str:
    """What is wrong with a receipt as that of the unit called `name`; "" if nothing is."""
    if receipt.get("format") not in READ:
        return f"is of another version: {version(receipt)}; tlx {VERSION} reads formats {READ}"
    kinds = {"unit": str, "study": str, "bytes": int, "sha256": str, "science": dict, "axes": dict}
    if receipt["format"] == 1:
        del kinds["axes"]
    for key, kind in kinds.items():
        if not isinstance(receipt.get(key), kind):
            return f"has a damaged receipt (its {key} is {receipt.get(key)!r:.40})"
    if receipt["unit"] != name:
        return f"is not itself but a copy of unit {receipt['unit']:.100}"
    if receipt["format"] > 1 and unit_name(receipt["study"], receipt["science"], receipt["axes"]) != name:
        return "has a receipt of another configuration than its name"
    return ""


def _content_fault(receipt: dict[str, Any], content: bytes) -> str:
    """What is wrong with a unit's file beside this receipt; "" if nothing is."""
    if receipt["bytes"] != len(content):
        return f"is truncated or exchanged ({len(content)} of {receipt['bytes']} bytes)"
    if receipt["sha256"] != hashlib.sha256(content).hexdigest():
        return "is damaged (its checksum differs)"
    return unit_file.fault(content, receipt)


def assemble(parts: list[tuple[dict[str, Any], Arrays]], axes: dict[str, np.ndarray]) -> xr.Dataset:
    """Put units in their places on the labelled grid. Cells that no unit covers are NaN, integers -1.

    Args:
        parts: (place, arrays) of each unit; a place maps a dimension to its slice of the axis, or to its indices on it;
            other dimensions are whole.
        axes: coordinate values of every dimension of the study, by name.
    """
    whole: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    every = {name: np.arange(len(values)) for name, values in axes.items()}
    for place, arrays in parts:
        for name, (dims, values) in arrays.items():
            if name not in whole:
                shape = tuple(len(axes[d]) for d in dims)
                fill = np.nan if np.issubdtype(values.dtype, np.floating) else -1
                whole[name] = (dims, np.full(shape, fill, values.dtype))
            indices = (every[d][place.get(d, slice(None))] for d in dims)
            whole[name][1][np.ix_(*indices)] = values
    return xr.Dataset(whole, coords={name: (name, values) for name, values in axes.items()})
