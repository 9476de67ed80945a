"""What a user sees in the terminal: progress, the closing table, and errors in one message."""

import contextlib
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from scipy import special

from experiments.running.output import Stream
from tlx.train import Status

STATUS_NAMES = {-1: "missing"} | {int(status): status.label for status in Status}
PLAIN_SECONDS = 5.0  # at least between two progress lines where there is no terminal
PLAIN_SHARE = 0.1  # and this share of the time so far
FINDINGS = 6  # lines of findings in the terminal; all of them are in the report
FEW = 10  # instances below which a table says that they are few
WORST = 5  # cells listed of each protocol

_stdout, _stderr = Stream("stdout"), Stream("stderr")

_out = Console(highlight=False, file=_stdout)


@contextlib.contextmanager
def silent(quiet: bool = True) -> Iterator[None]:
    """Say nothing but errors meanwhile."""
    before, _out.quiet = _out.quiet, quiet or _out.quiet
    try:
        yield
    finally:
        _out.quiet = before


def say(text: str, indent: str = "") -> None:
    """One line; on a terminal it is wrapped between words, and words (paths, commands) stay whole."""
    for line in text.split("\n"):
        if _stdout.isatty() and len(line) > _out.width:
            line = textwrap.fill(
                line, _out.width, subsequent_indent=indent or "  ", break_long_words=False, break_on_hyphens=False
            )
        _out.print(line, markup=False, soft_wrap=True)


def fail(text: str) -> None:
    """An error, as one message on stderr."""
    _stderr.write(f"error: {text}\n")


def header(study: str, directory: Path, every: Sequence[Any], todo: Sequence[Any]) -> None:
    """What is about to happen."""
    lanes = sum(unit.lanes for unit in todo)
    say(f"{study}: {len(todo)} of {len(every)} units to compute ({lanes} training runs) -> {directory}")


class Progress:
    """A bar with time, rate and time left on a terminal, plain lines elsewhere; until a run is done, what it waits for.

    A rate is shown from the first finished run on. Plain lines come the more seldom the longer a job runs.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.begin = time.perf_counter()
        self.said = self.begin
        self.bar: RichProgress | None = None
        self.task: Any = None
        self.waiting = False

    def __enter__(self) -> "Progress":
        if _stdout.isatty():
            columns = (
                TextColumn(self.title),
                BarColumn(20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(compact=True),
            )
            self.bar = RichProgress(*columns, console=_out)
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=None, rate="compiling")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def wait(self, place: str) -> None:
        """Say what is compiled while nothing else can be said: the programs of the first unit."""
        if not self.waiting:
            self.waiting = True
            short = textwrap.shorten(place, 31, placeholder=" ...") or "the whole study"
            say(f"compiling for {short}; training begins when that is done")

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` training runs are finished."""
        now = time.perf_counter()
        rate = done / max(now - self.begin, 1e-9)
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total, rate=f"{rate:.3g} runs/s" if done else "compiling")
        elif done and now - self.said > max(PLAIN_SECONDS, PLAIN_SHARE * (now - self.begin)):
            self.said = now
            say(f"{self.title}: {done}/{total} runs, {rate:.3g} runs/s, {(total - done) / rate:.0f} s left")


def small_sample(z: np.ndarray, instances: int) -> np.ndarray:
    """Distances in estimated standard errors as the normal deviate that is as unlikely.

    An error that is itself estimated from few instances is often far too small: with four, |z| > 5 comes by chance
    once in 65 cells. Student's t with instances - 1 degrees of freedom knows that; many instances change nothing.
    """
    if instances < 2:
        return np.full(np.shape(z), np.nan)
    tail = special.stdtr(instances - 1, -np.abs(z))
    return np.sign(z) * -special.ndtri(np.maximum(tail, 1e-300))


def facts(verdict: Any) -> dict[str, Any]:
    """The distance from theory of one protocol, as numbers; z for the number of instances (see `small_sample`)."""
    z = small_sample(np.asarray(verdict.z, float), verdict.instances)
    law = np.full(z.shape, np.nan) if verdict.exact is None else np.where(np.isfinite(z), verdict.exact, np.nan)
    z = np.where(np.isfinite(law), law, z)
    size = np.abs(z)
    compared = np.isfinite(size)
    if not compared.any():
        return {"cells": 0, "instances": verdict.instances}
    order = np.argsort(np.where(compared, -size, np.inf), axis=None)[: min(WORST, int(compared.sum()))]
    cells = [tuple(int(i) for i in np.unravel_index(flat, z.shape)) for flat in order]
    by = "chi-squared: the law of its risk is known" if np.isfinite(law).any() else "Student's t"
    few = f"few instances: by {by}"
    return {
        "cells": int(compared.sum()),
        "instances": verdict.instances,
        "worst_z": float(z[cells[0]]),
        "worst_in_standard_errors": float(np.asarray(verdict.z)[cells[0]]),
        "worst_cell": verdict.cell(cells[0]),
        "worst_cells": [{"cell": verdict.cell(at), "z": float(z[at])} for at in cells],
        "typical_z": float(np.median(size[compared])),
        "within_3": float(np.mean(size[compared] <= 3)),
        "beyond_5": int(np.sum(size[compared] > 5)),
        "claimed": verdict.claimed,
        **({"remark": few} if verdict.instances < FEW else {}),
    }


def count(codes: np.ndarray) -> dict[str, int]:
    """Lanes by status."""
    values, counts = np.unique(codes, return_counts=True)
    return {STATUS_NAMES.get(int(v), str(v)): int(c) for v, c in zip(values, counts, strict=True)}


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what they hold, the first to the left: no word is ever cut."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]
    _out.print("\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]]), markup=False, soft_wrap=True)


def closing(
    verdicts: Sequence[Any], statuses: dict[str, np.ndarray], outcome: Any, notes: str, findings: Sequence[str] = ()
) -> None:
    """The closing table: distance from theory in standard errors, lanes by status, and what was found."""
    found = {verdict.method: facts(verdict) for verdict in verdicts}
    compared = {name: f for name, f in found.items() if f["cells"]}
    rows = [
        (name, str(f["cells"]), str(f["instances"]), f"{f['typical_z']:.2f}", f"{100 * f['within_3']:.1f} %",
         f"{f['worst_z']:+.2f}")
        for name, f in compared.items()
    ]  # fmt: skip
    rows += [(name, "0", str(f["instances"]), "-", "-", "-") for name, f in found.items() if not f["cells"]]
    table("distance from theory, z in standard errors", ("", "cells", "inst.", "typ. |z|", "|z| < 3", "worst z"), rows)
    for name, f in compared.items():
        say(f"worst of {name}: {f['worst_cell']}")
    if any(f.get("remark") for f in compared.values()):
        say("few instances: z by Student's t, or by the law of the risk where it is known;")
        say("results.nc has it in standard errors")
    counts = {name: count(codes) for name, codes in statuses.items()}
    names = [name for name in STATUS_NAMES.values() if any(name in one for one in counts.values())]
    lanes = [(protocol, *(str(one.get(name, 0)) for name in names)) for protocol, one in counts.items()]
    table("training runs by status", ("", *names), lanes)
    _findings(list(findings) or [line for line in notes.splitlines() if line.strip()])
    if outcome.lanes:
        rate = outcome.lanes / max(outcome.seconds, 1e-9)
        say(f"{outcome.lanes} training runs in {outcome.seconds:.1f} s ({rate:.3g} a second)")


def _findings(lines: Sequence[str]) -> None:
    """The first few; the report has them all."""
    for line in lines[:FINDINGS]:
        say(line)
    if len(lines) > FINDINGS:
        say(f"... and {len(lines) - FINDINGS} more findings in report.html")
