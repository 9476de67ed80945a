"""Every point at which a run touches the disk fails once, or is a kill: what the next run makes of it.

python -m benchmarks.faults [STUDY ...]          (every study at a very small size; some minutes a study)

In this process: the functions through which files are created, written, synced, renamed and removed are counted, and
the n-th call fails (no space, no permission, an I/O error) or everything from it on (a kill). The next run, which
nothing disturbs, must end with the numbers of an undisturbed one.
"""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

WATCHED = ("open", "fsync", "replace", "rename", "unlink", "link", "utime", "mkdir", "rmdir")
ERRORS = (errno.ENOSPC, errno.EACCES, errno.EIO)
KNOWN = ("UserError", "StoreError", "UnitsFailed")  # one clear line each


class Killed(BaseException):
    """The process is dead from here on."""


class Faults:
    """Counts the calls that change files below a directory, and makes one of them fail.

    Args:
        directory: other files are left alone.
        at: the number of the call that fails, from 1; 0: none does.
        error: an errno; None: a kill, after which no call changes anything.
    """

    def __init__(self, directory: Path, at: int = 0, error: int | None = None) -> None:
        self.directory, self.at, self.error = str(directory), at, error
        self.count = 0
        self.where = ""
        self._descriptors: set[int] = set()

    def _ours(self, name: str, args: tuple) -> bool:
        if name == "fsync":
            return args[0] in self._descriptors
        if name == "open" and not args[1] & os.O_CREAT:
            return False
        return isinstance(args[0], str | os.PathLike) and os.fspath(args[0]).startswith(self.directory)

    def _wrapped(self, name: str, function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._ours(name, args):
                return function(*args, **kwargs)
            self.count += 1
            dead = self.error is None and self.at and self.count > self.at
            if dead:
                raise Killed
            if self.count == self.at:
                self.where = f"{name} {args[0]}"
                raise Killed if self.error is None else OSError(self.error, os.strerror(self.error), str(args[0]))
            result = function(*args, **kwargs)
            if name == "open":
                self._descriptors.add(result)
            return result

        return call

    @contextlib.contextmanager
    def __call__(self) -> Iterator["Faults"]:
        """In force within it."""
        before = {name: getattr(os, name) for name in WATCHED}
        try:
            for name, function in before.items():
                setattr(os, name, self._wrapped(name, function))
            yield self
        finally:
            for thread in threading.enumerate():  # what is left behind would go on in the next run
                if thread.name == "work":
                    thread.join(60)
            for name, function in before.items():
                setattr(os, name, function)


def bury(directory: Path) -> None:
    """What a killed process leaves names a process that is gone; here that was this one."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for path in [*directory.rglob("*.claim"), *directory.rglob(".lock"), *directory.rglob("status*.json")]:
        with contextlib.suppress(ValueError):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": gone.pid}))
        if not path.read_text():  # created, and killed before a word was written: silence tells
            os.utime(path, (1, 1))


def numbers(directory: Path) -> dict[str, np.ndarray]:
    """The arrays of results.nc."""
    with xr.open_dataset(directory / "results.nc") as data:
        return {str(name): data[name].values.copy() for name in data.variables}


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """Bit for bit."""
    return left.keys() == right.keys() and all(left[k].tobytes() == right[k].tobytes() for k in left if k in right)


def one(run: Callable[[Path], Any], directory: Path, at: int, error: int | None, whole: dict[str, np.ndarray]) -> str:
    """A run with a fault, and an undisturbed one after it; "" or what is wrong."""
    faults, told = Faults(directory, at, error), ""
    try:
        with faults():
            run(directory)
    except Killed:
        pass
    except Exception as raised:
        told = type(raised).__name__
        if told not in KNOWN:
            return f"{faults.where}: {told}: {raised}"
    bury(directory)
    run(directory)
    if not same(numbers(directory), whole):
        return f"{faults.where}: other numbers"
    left = [*directory.rglob("*.claim"), *directory.rglob("*.partial"), *directory.rglob("*.failed")]
    status = json.loads((directory / "status.json").read_text())["state"]
    return f"{faults.where}: {left} left behind, {status}" if left or status != "finished" else ""


def every(run: Callable[[Path], Any], kinds: tuple[int | None, ...] = (None, *ERRORS), step: int = 1) -> list[str]:
    """All points and kinds of faults of a run: how many there were is the first line, then what is wrong."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        count = Faults(root / "whole")
        with count():
            run(root / "whole")
        whole, wrong, tried = numbers(root / "whole"), [], 0
        for at in range(1, count.count + 1, step):
            for kind in kinds if len(kinds) < 4 else (None, ERRORS[at % len(ERRORS)]):
                tried += 1
                found = one(run, root / "faulty", at, kind, whole)
                wrong += [f"call {at}, {'a kill' if kind is None else os.strerror(kind)}: {found}"] if found else []
                shutil.rmtree(root / "faulty")
        return [f"{tried} faults at {count.count} points, {len(wrong)} wrong", *wrong]


def main() -> None:
    """Print what became of every study."""
    import experiments
    from benchmarks.tiny import TINY

    for study in sys.argv[1:] or experiments.studies():

        def run(directory: Path, study: str = study) -> None:
            experiments.run(study, [*TINY[study], "checkpoint.seconds=0"], directory=directory, quiet=True)

        print(f"{study}: " + "\n  ".join(every(run)), flush=True)


if __name__ == "__main__":
    main()
