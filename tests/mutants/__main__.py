"""Small faults, one at a time, in a copy of the tree: each has to be caught by the tests of its own folder.

    python -m tests.mutants              every fault, and the table tests/MUTANTS.md anew
    python -m tests.mutants WORD ...     those whose name, file or folder holds a word; their rows of the table anew

A fault is caught if a test fails that passes without it, which is tried too. The file of tests that is
expected to notice runs first; the everyday tests of the whole folder run if it does not, and the slow ones last.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.fault import Fault
from tests.mutants.faults_rest import ENSEMBLE, NONLINEAR, PLANNER, RUNNING
from tests.mutants.faults_theory import LINEAR, THEORY

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "MUTANTS.md"
FAULTS = [*THEORY, *LINEAR, *NONLINEAR, *ENSEMBLE, *PLANNER, *RUNNING]
SECONDS = 900.0  # for one run of pytest
HEAD = """# Small faults and who catches them

Written by `make mutants` (`python -m tests.mutants`): each fault is put into a copy of the tree, alone, and the tests
of its own folder are run until one fails.

| fault | file | caught by | seconds of one core |
| --- | --- | --- | --- |
"""


def copied(to: Path) -> None:
    """The tree, without what is made from it."""
    made = (".*cache", ".git", ".venv", "__pycache__", "build", "multirun", "outputs", "site")
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*made), dirs_exist_ok=True)


def apply(fault: Fault, tree: Path) -> str:
    """Put the fault in; returns the text that was there."""
    path = tree / fault.file
    before = path.read_text()
    if before.count(fault.old) != 1:
        raise SystemExit(
            f"{fault.name}: {fault.old!r} stands {before.count(fault.old)} times in {fault.file}, not once"
        )
    path.write_text(before.replace(fault.old, fault.new))
    return before


def failing(tree: Path, tests: list[str], marked: str) -> str:
    """The first test that fails, "" if all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", marked, *tests]
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
    environment = {**os.environ, "PYTHONPATH": str(tree), "JAX_COMPILATION_CACHE_DIR": cache}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        found = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "the time limit"
    if found.returncode in (0, 5):
        return ""
    named = re.search(r"^(?:FAILED|ERROR) (\S+)", found.stdout, re.MULTILINE)
    return named.group(1) if named else f"an error while collecting ({found.stdout.strip().splitlines()[-1]})"


def caught(fault: Fault, tree: Path) -> str:
    """The test that notices the fault, "" if none does."""
    fast, slow = "not slow and not alone", "slow and not alone"
    stages = [([fault.first], fast), ([fault.folder], fast), ([fault.first], slow), ([fault.folder], slow)]
    for tests, marked in stages:
        if tests != [""] and (by := failing(tree, tests, marked)):
            return by
    return ""


def rows() -> dict[str, str]:
    """The table's rows by fault, as they stand."""
    if not TABLE.exists():
        return {}
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")][2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def write(table: dict[str, str]) -> None:
    """The table, in the order of the faults."""
    kept = [table[fault.name] for fault in FAULTS if fault.name in table]
    number = sum("**survived**" not in row for row in kept)
    TABLE.write_text(
        f"{HEAD}{chr(10).join(kept)}\n\n{number} of {len(kept)} caught; {len(FAULTS)} faults are listed.\n"
    )


def main(words: list[str]) -> int:
    """Run the chosen faults; 1 if one survives."""
    chosen = [f for f in FAULTS if not words or any(w in text for w in words for text in (f.name, f.file, f.folder))]
    if not chosen:
        raise SystemExit(f"no fault's name, file or folder holds any of {words}")
    survivors, table, sound = 0, rows(), set()
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place)
        copied(tree)
        for fault in chosen:
            before, begin, spent = apply(fault, tree), time.perf_counter(), os.times()
            by = caught(fault, tree)
            (tree / fault.file).write_text(before)
            if "::" in by and by not in sound and failing(tree, [by], "not alone"):
                raise SystemExit(f"{by} fails without any fault: mend it first")
            sound.add(by)
            now = os.times()
            seconds = now.children_user + now.children_system - spent.children_user - spent.children_system
            survivors += not by
            where = by.replace(f"{fault.folder}/", "").replace("|", "/") or "**survived**"
            table[fault.name] = f"| {fault.name} | {fault.file} | {where} | {seconds:.0f} |"
            print(f"{fault.name}: {where} ({time.perf_counter() - begin:.0f} s)", flush=True)
            write(table)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
