"""Results on disk: immutable units of work, and the labelled data set they add up to.

A unit is one NetCDF file named by the hash of its scientific configuration (never of paths, devices or launchers),
written to a temporary file, synced and renamed, with a small JSON receipt beside it that holds its checksum. A unit
is finished when both exist and agree; anything else is recomputed. Reading a unit never executes code.

Beside a unit there may be `<name>.claim` (a process is computing it), `<name>.partial` (what that process has saved
of it) and `<name>.failed` (why the last attempt ended, with its traceback).
"""

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import netCDF4
import numpy as np
import xarray as xr

FORMAT = 1  # raise it when the same configuration means other numbers: older units are then recomputed

Arrays = dict[str, tuple[tuple[str, ...], np.ndarray]]


class StoreError(Exception):
    """A file could not be written or is not what it should be; the message names it and the remedy."""


class State(NamedTuple):
    """What is on disk under a unit's name: its receipt if it is finished, else why not ("" if nothing is there)."""

    receipt: dict[str, Any] | None
    fault: str = ""


def fingerprint(science: dict[str, Any]) -> str:
    """Hash of a scientific configuration: the name of its unit."""
    text = json.dumps({"format": FORMAT, **science}, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be part of a scientific configuration")


def unwritable(path: Path, error: OSError) -> StoreError:
    """The message for a path that cannot be written."""
    return StoreError(
        f"{path} could not be written ({error.strerror or error}). Free some space or choose another directory "
        "with hydra.run.dir=DIR; results already there are untouched."
    )


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: temporary name, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        with open(temporary, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON file, whole or not at all."""
    write_bytes(path, json.dumps(content, indent=1, default=_plain).encode())


def to_bytes(data: xr.Dataset) -> bytes:
    """A data set as one NetCDF-4 file in memory."""
    encoding = {name: {"zlib": True, "complevel": 1} for name in data.data_vars if data[name].size > 4096}
    return bytes(data.to_netcdf(engine="netcdf4", encoding=encoding))


def from_bytes(content: bytes) -> xr.Dataset:
    """A data set from a NetCDF file in memory: the bytes that were verified are the bytes that are read."""
    with netCDF4.Dataset("unit", mode="r", memory=content) as file:
        return xr.open_dataset(xr.backends.NetCDF4DataStore(file)).load()


class Units:
    """The units in one directory, which any number of jobs may share."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)

    def path(self, name: str) -> Path:
        """Where the unit called `name` lives."""
        return self.directory / f"{name}.nc"

    def beside(self, name: str, kind: str) -> Path:
        """The file of this kind beside a unit: json, claim, partial or failed."""
        return self.directory / f"{name}.{kind}"

    def _verified(self, name: str) -> tuple[State, bytes]:
        try:
            text = self.beside(name, "json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return State(None, "has no receipt" if self.path(name).exists() else ""), b""
        try:
            receipt = dict(json.loads(text))
            content = self.path(name).read_bytes()
        except OSError as error:
            return State(None, f"cannot be read ({error.strerror})"), b""
        except (ValueError, TypeError):
            return State(None, "has a damaged receipt"), b""
        if receipt.get("format") != FORMAT:
            return State(None, f"is of another version (format {receipt.get('format')}, not {FORMAT})"), b""
        if receipt.get("bytes", len(content)) != len(content):
            return State(None, f"is truncated ({len(content)} of {receipt['bytes']} bytes)"), b""
        if receipt.get("sha256") != hashlib.sha256(content).hexdigest():
            return State(None, "is damaged (its checksum differs)"), b""
        return State(receipt), content

    def state(self, name: str) -> State:
        """Whether the unit called `name` is finished and sound, and if not why."""
        return self._verified(name)[0]

    def receipt(self, name: str) -> dict[str, Any] | None:
        """The receipt of a finished unit, or None if it is missing, damaged or of another format."""
        return self.state(name).receipt

    def write(self, name: str, arrays: Arrays, receipt: dict[str, Any]) -> None:
        """Store a finished unit, the data first and its receipt last."""
        make_directory(self.directory)
        content = to_bytes(xr.Dataset({key: (dims, values) for key, (dims, values) in arrays.items()}))
        checksum = hashlib.sha256(content).hexdigest()
        receipt = {**receipt, "unit": name, "format": FORMAT, "bytes": len(content), "sha256": checksum}
        write_bytes(self.path(name), content)
        write_json(self.beside(name, "json"), receipt)
        for leftover in ("failed", "partial"):
            self.beside(name, leftover).unlink(missing_ok=True)

    def read(self, name: str) -> Arrays:
        """The arrays of a unit, with their dimension names; what is read is what was verified."""
        state, content = self._verified(name)
        if state.receipt is None:
            raise StoreError(f"unit {name} in {self.directory} {state.fault or 'is missing'}; run its study again.")
        data = from_bytes(content)
        return {str(key): (tuple(map(str, v.dims)), v.values) for key, v in data.data_vars.items()}

    def move_to(self, other: "Units", names: list[str]) -> None:
        """Put these finished units in the place of those in `other`; may be repeated after a kill anywhere in it."""
        make_directory(other.directory)
        for name in names:
            for path in (self.path(name), self.beside(name, "json")):
                if path.exists():
                    os.replace(path, other.directory / path.name)
        with contextlib.suppress(OSError):  # left while another job still computes into it
            self.directory.rmdir()

    def settle(self, other: "Units") -> None:
        """Finish a `move_to` that was killed between a unit's data and its receipt."""
        for receipt in self.directory.glob("*.json"):
            if not receipt.with_suffix(".nc").exists():
                os.replace(receipt, other.directory / receipt.name)


def make_directory(directory: Path) -> None:
    """Make a directory, or say clearly why not."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(directory, error) from error


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
