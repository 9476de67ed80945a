"""Studies killed -9 at random moments, again and again: what they end with, and how much is computed twice.

python -m benchmarks.kills [--kills 200] [--racers 8] [--units 200] [--seed 0] [STUDY ...]   (about twenty minutes)

Each study at a very small size is killed up to four times in one directory and then left in peace: it has to end with
the bytes of results that were never disturbed, and with nothing left behind. Then several processes share one sweep
and one of them is killed every second: no unit may be lost, and hardly any finished twice.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ["JAX_NUM_CPU_DEVICES"] = "1"

import experiments
from benchmarks.faults import numbers, same
from benchmarks.survival import sweep
from benchmarks.tiny import TINY
from experiments.running.store import Units

SMALL = ["ensemble.instances_per_unit=1", "checkpoint.seconds=0"]  # as many writes as there can be
ROUND = 4  # kills in one directory


def child(study: str, words: Sequence[str], directory: Path, log: Path | None = None) -> int:
    """A process that runs a study in silence; with a log, it notes there every unit that it has finished."""
    number = os.fork()
    if number:
        return number
    code = 1
    with contextlib.suppress(OSError):
        handle = os.open(f"{directory}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, 1), os.dup2(handle, 2)
    try:
        if log is not None:
            _note_units(log)
        experiments.run(study, list(words), directory=directory, quiet=True)
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    os._exit(code)


def _note_units(log: Path) -> None:
    write = Units.write

    def noted(self: Units, name: str, *rest: object) -> None:
        write(self, name, *rest)  # type: ignore[arg-type]
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    Units.write = noted  # type: ignore[method-assign,assignment]


def wait(number: int, seconds: float) -> int | None:
    """Its exit code, or None if it is still running after so long."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def kill(number: int) -> None:
    """At once."""
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)


def words(study: str) -> list[str]:
    """Overrides of a study with as many units and checkpoints as it can have."""
    return [*TINY[study], *(SMALL if study not in ("real_data", "predictors") else SMALL[1:])]


def left(directory: Path) -> str:
    """What a finished run should not have left behind, or "" if there is none."""
    found = [path for kind in ("claim", "partial", "failed") for path in directory.rglob(f"*.{kind}")]
    state = json.loads((directory / "status.json").read_text())["state"]
    return f"{[path.name for path in found]} left behind, status {state}" if found or state != "finished" else ""


def disturbed(study: str, kills: int, root: Path, draw: random.Random) -> tuple[int, list[str]]:
    """Kill a study so many times; returns how many kills met a running process, and what is wrong."""
    whole, done, wrong, seconds = root / "whole", 0, [], 0.0
    for place in ("compiled", "whole"):  # the second is timed with its programs compiled
        begin = time.monotonic()
        if wait(child(study, words(study), root / place), 600) != 0:
            return 0, [f"does not run: {(root / f'{place}.log').read_text()[-300:]}"]
        seconds = time.monotonic() - begin
    kept = numbers(whole)
    while done < kills:
        directory = root / f"killed{done}"
        for _ in range(min(ROUND, kills - done)):
            number = child(study, words(study), directory)
            if wait(number, draw.uniform(0, seconds)) is not None:
                break  # it was faster; as an end undisturbed
            kill(number)
            done += 1
        code = wait(child(study, words(study), directory), 600)
        if code != 0:
            wrong.append(f"exit code {code} after kills: {Path(f'{directory}.log').read_text()[-300:]}")
        elif not same(numbers(directory), kept):
            wrong.append(f"other numbers after {done} kills")
        elif found := left(directory):
            wrong.append(found)
        shutil.rmtree(directory, ignore_errors=True)
    return done, wrong


def race(racers: int, units: int, root: Path, draw: random.Random) -> dict[str, object]:
    """So many processes on one sweep, one of them killed and replaced every second."""
    overrides, log = [*sweep(units, steps=20000), "checkpoint.seconds=1"], root / "units.log"
    wait(child("scratch_risk", overrides, root / "whole"), 1200)
    running, kills = {child("scratch_risk", overrides, root / "race", log) for _ in range(racers)}, 0
    begin = time.monotonic()
    while running and time.monotonic() - begin < 1200:
        end = time.monotonic() + 1.0
        while running and time.monotonic() < end:
            running -= {number for number in running if wait(number, 0.0) is not None}
            time.sleep(0.05)
        finished = len(set(log.read_text().split())) if log.exists() else 0
        if running and finished < units:
            victim = draw.choice(sorted(running))
            kill(victim)
            kills += 1
            running = running - {victim} | {child("scratch_risk", overrides, root / "race", log)}
    counts = Counter(log.read_text().split())
    return {
        "kills": kills,
        "units finished": len(counts),
        "lost": units - len(counts),
        "finished twice": sum(count - 1 for count in counts.values()),
        "identical": same(numbers(root / "race"), numbers(root / "whole")),
        "left": left(root / "race"),
    }


def main() -> None:
    """Print what became of every study, and of the race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", default=list(TINY))
    parser.add_argument("--kills", type=int, default=200, help="over all the studies")
    parser.add_argument("--racers", type=int, default=8, help="0: no race")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    draw, total, faults = random.Random(chosen.seed), 0, 0
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")  # a cache of compiled programs is killed with them
        for i, study in enumerate(chosen.studies):
            count = chosen.kills * (i + 1) // len(chosen.studies) - chosen.kills * i // len(chosen.studies)
            (root := Path(name) / study).mkdir()
            done, wrong = disturbed(study, count, root, draw)
            total, faults = total + done, faults + len(wrong)
            print(f"{study}: {done} kills, {len(wrong)} wrong", *wrong, sep="\n  ", flush=True)
        print(f"{total} kills over {len(chosen.studies)} studies, {faults} wrong", flush=True)
        if chosen.racers:
            (root := Path(name) / "race").mkdir()
            print(f"{chosen.racers} processes on {chosen.units} units: {race(chosen.racers, chosen.units, root, draw)}")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
