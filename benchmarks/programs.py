"""What is paid before anything is computed: imports, --help, compilation; and the demo's share of compiled compute.

python -m benchmarks.programs [--output FILE]

Programs are counted by JAX's own compilation events, in processes of their own and without any cache.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import _timing

ROOT = Path(__file__).resolve().parent.parent
COMPILE_LIMIT, DEMO_SHARE = 5.0, 0.70

# runs a study as its command line does, and notes every compilation
CHILD = """
import json, runpy, sys, time
begin = time.perf_counter()
import jax
from tlx import ensemble
compiled, traced = [], []
def note(event, seconds, **_):
    if event.endswith("backend_compile_duration"):
        compiled.append(seconds)
    elif event.endswith(("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration")):
        traced.append(seconds)
jax.monitoring.register_event_duration_secs_listener(note)
report, *sys.argv[1:] = sys.argv[1:]
study = sys.argv.pop(1)
code = 0
try:
    runpy.run_module("experiments." + study, run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code
found = {"compiled": compiled, "traced": sum(traced), "seconds": time.perf_counter() - begin, "code": code}
open(report, "w").write(json.dumps(found))
"""

STUDIES = {
    "full": "phase_diagram experiment=demo grid.overlap_angles={a} grid.sample_ratios=[{r}] ensemble.num_instances={i} "
    "optimizer.num_steps=20 scratch.num_steps=20 figures=[]",
    "spectral": "phase_diagram experiment=phase_diagram_noisy grid.overlap_angles={a} grid.sample_ratios=[{r}] "
    "ensemble.num_instances={i} optimizer.num_steps=20 scratch.num_steps=20 figures=[]",
    "flow": "phase_diagram experiment=phase_diagram_noiseless grid.overlap_angles={a} grid.sample_ratios=[{r}] "
    "ensemble.num_instances={i} figures=[]",
}
SMALL, LARGE = {"a": 3, "r": "0.2,0.6", "i": 2}, {"a": 3, "r": "0.2,0.6,1.4,1.7,2.0", "i": 4}


def seconds_of(command: list[str], repeats: int = 3) -> dict[str, float]:
    """Wall-clock time of a whole process."""

    def once() -> None:
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    return _timing.summary(_timing.seconds(once, repeats))


def watched(words: str) -> dict[str, Any]:
    """A study run as its command line does, with its compilations; its summary under "summary"."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.json"
        command = [sys.executable, "-c", CHILD, str(report), *words.split(), f"hydra.run.dir={name}/out"]
        begin = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True)
        wall = time.perf_counter() - begin
        if done.returncode or not report.exists() or json.loads(report.read_text())["code"]:
            raise RuntimeError(f"{words} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        summary = json.loads((Path(name) / "out" / "summary.json").read_text())
        return {**json.loads(report.read_text()), "wall": wall, "summary": summary}


def compilations() -> dict[str, Any]:
    """The longest compilation of each engine's study, and the number of programs of a small and a larger grid."""
    out = {}
    for engine, words in STUDIES.items():
        small, large = (watched(words.format(**size))["compiled"] for size in (SMALL, LARGE))
        out[engine] = {
            "longest_compilation": max(small + large), "programs_small_grid": len(small),
            "programs_large_grid": len(large), "compilation_small_grid": sum(small),
        }  # fmt: skip
        print(
            f"{engine}: longest compilation {max(small + large):.2f} s (allowed {COMPILE_LIMIT:g}), "
            f"{len(small)} programs on a small grid, {len(large)} on a larger one",
            flush=True,
        )
    return out


def demo() -> dict[str, Any]:
    """Where the time of `make demo` goes after installation, the whole process counted."""
    found = watched("phase_diagram experiment=demo")
    seconds = found["summary"]["seconds"]
    outside = sum(found["compiled"]) + found["traced"]
    compute = max(0.0, seconds["compute"] - outside)
    share = compute / found["wall"]
    print(f"demo: {found['wall']:.1f} s, {share:.0%} of it in compiled compute (demanded {DEMO_SHARE:.0%})", flush=True)
    return {
        "wall": found["wall"], "compute": compute, "tracing_and_compilation": outside, "figures": seconds["figures"],
        "rest": found["wall"] - seconds["compute"] - seconds["figures"], "share": share, "demanded": DEMO_SHARE,
        "counted": "compute is the summary's, less all tracing and compilation of the process: a lower bound",
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """Start-up, compilations and the demo."""
    start = {
        "import_tlx": seconds_of([sys.executable, "-c", "import tlx, tlx.theory, tlx.ensemble"]),
        "help": seconds_of([sys.executable, "-m", "experiments.phase_diagram", "--help"]),
        "python": seconds_of([sys.executable, "-c", "pass"]),
    }
    print({name: round(value["median"], 2) for name, value in start.items()}, flush=True)
    return {"start": start, "compilation": compilations(), "compile_limit": COMPILE_LIMIT, "demo": demo()}


if __name__ == "__main__":
    _timing.main("programs", measure, __doc__)
