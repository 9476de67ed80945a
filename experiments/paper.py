"""Every figure of the paper at laptop size, and those it left out, on one page with a table of contents.

python -m experiments.paper [--output DIR] [--jobs N] [preset ...]

Each preset under conf/experiment is one command of one study, two of them at a time on CPUs; what is finished is not
computed again. The page says for each the command, seconds, training runs, and the worst distance from theory, and
leads to the report of the run.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from experiments.running import catalogue as _catalogue
from experiments.running import compose as _compose
from experiments.running import console as _console
from experiments.running import help as _help
from experiments.running import page as _page
from experiments.running import store as _store
from tlx import ensemble

CHAPTERS = {  # chapter -> preset -> heading
    "Where transfer helps": {
        "phase_diagram_noisy": "Linear transfer and fine-tuning by gradient descent, noise 0.2 (Figures 1 and 2)",
        "phase_diagram_flow": "The same at the end of gradient flow (Figures 1 and 2)",
        "phase_diagram_noiseless": "Without label noise (Figure 7)",
        "finite_source_half": "A source sample of half the dimension",
        "finite_source_three_halves": "A source sample of one and a half times the dimension",
    },
    "What changes it": {
        "noise_levels": "Label noise",
        "depths": "Depth of the network",
        "target_norms": "Norm of the target",
        "source_sizes": "Size of the source sample",
        "power_law_inputs": "Inputs with a decaying spectrum",
        "ridge_sweep": "A ridge on the last layer (Theorem 3.8)",
    },
    "Training": {
        "double_descent": "Double descent of training from scratch",
        "optimal_weight_decay": "The best weight decay (Figure 5)",
        "learning_curves": "Risk over training time",
        "stopping": "Both sides stopped at their best",
        "tuned": "Tuned against tuned: what is left of negative transfer",
        "frozen_layers": "Which layers are trained (Theorem 3.9)",
        "sgd": "Mini-batches: risk, and the balance factor that shrinks",
        "several_outputs": "Several outputs",
    },
    "Nonlinear networks": {
        "relu_small": "ReLU networks: phase diagram, slices and floor (Figure 3)",
        "relu_kernels_small": "Does pretraining learn the teacher's kernel? (Figure 3)",
        "overlap_small": "Does one line in the overlap explain transfer? (Section 4)",
    },
}
HEADINGS = {preset: heading for chapter in CHAPTERS.values() for preset, heading in chapter.items()}
TITLE = "Transfer in deep linear networks and beyond: every figure"


def preset_path(preset: str) -> Path:
    """Where a preset is defined; an unknown one stops here."""
    path = _compose.CONF / "experiment" / f"{preset}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise SystemExit(f"error: there is no preset {preset!r}; choose from {known}.")
    return path


def heading(preset: str) -> str:
    """What a preset is called on the page."""
    return HEADINGS.get(preset, preset.replace("_", " "))


def run(preset: str, output: Path, jobs: int = 1) -> dict[str, Any]:
    """Run one preset in a process of its own, beside others if there are several jobs, and read its summary."""
    study = yaml.safe_load(preset_path(preset).read_text())["study"]
    command = [sys.executable, "-m", f"experiments.{study}", f"experiment={preset}", f"hydra.run.dir={output / preset}"]
    environment = dict(os.environ)
    if jobs > 1:  # lines of several would mix, and each is to have its own cores
        command.append("quiet=true")
        environment.setdefault("JAX_NUM_CPU_DEVICES", str(max(1, ensemble.cpu_cores() // jobs)))
        _console.say(f"{preset}: begun")
    begin = time.perf_counter()
    done = subprocess.run(command, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command[1:])} ended with code {done.returncode}; what is finished is kept.")
    summary = json.loads((output / preset / "summary.json").read_text())
    pictures = [file for file in summary["files"] if file.endswith(".png")]
    seconds = time.perf_counter() - begin
    worst = _catalogue.worst(summary["protocols"])
    away = "" if worst is None else f", at most {worst:.1f} standard errors from theory"
    _console.say(f"{preset}: {seconds:.0f} s, {summary['training_runs']:,} training runs{away}")
    return {
        **{"preset": preset, "study": study, "seconds": seconds, "summary": summary},
        "widths": {file: _page.width(output / preset / file) for file in pictures},
    }


def section(entry: dict[str, Any]) -> str:
    """One preset's part of the page."""
    name, summary = entry["preset"], entry["summary"]
    rows = [
        (label, f["cells"], f["instances"], f"{100 * f['within_3']:.1f} %", f"{f['worst_z']:+.2f}", f["worst_cell"])
        for label, f in summary["protocols"].items()
        if f["cells"]
    ]
    table = _page.table(("", "cells", "instances", "within 3 se", "worst z", "worst cell"), rows, range(1, 5))
    captions = summary.get("captions", {})
    figures = "".join(
        f'<figure><img src="{_page.text(name)}/{_page.text(file)}" alt="{_page.text(file)}" '
        f'width="{entry["widths"][file]}" loading="lazy">'
        f"<figcaption>{_page.text(captions.get(file.removesuffix('.png'), ''))}</figcaption></figure>"
        for file in entry["widths"]
    )
    notes = "".join(f"<li>{_page.text(line)}</li>" for line in summary.get("notes", "").splitlines() if line)
    command = f"python -m experiments.{entry['study']} experiment={name}"
    about = _page.text(_help.purpose("experiment", name))
    took = f"{entry['seconds']:.0f} s, {summary['training_runs']:,} training runs"
    return (
        f'<h3 id="{_page.text(name)}">{_page.text(heading(name))}</h3><p>{about}</p>'
        f'<p><code>{_page.text(command)}</code> <span class="soft">{_page.text(took)}</span> '
        f'<a href="{_page.text(name)}/report.html">report</a></p>{table if rows else ""}<ul>{notes}</ul>{figures}'
    )


def render(entries: list[dict[str, Any]], total: str) -> str:
    """The page: contents, then the sections chapter by chapter; presets of no chapter last."""
    found = {entry["preset"]: entry for entry in entries}
    chapters = {name: [preset for preset in chapter if preset in found] for name, chapter in CHAPTERS.items()}
    chapters["More"] = [preset for preset in found if preset not in HEADINGS]
    contents, body = [], []
    for name, presets in chapters.items():
        if presets:
            links = "".join(f'<li><a href="#{_page.text(p)}">{_page.text(heading(p))}</a></li>' for p in presets)
            contents.append(f"<li>{_page.text(name)}<ul>{links}</ul></li>")
            body += [f"<h2>{_page.text(name)}</h2>", *(section(found[preset]) for preset in presets)]
    head = f"<h1>{_page.text(TITLE)}</h1><p class=soft>{_page.text(total)}</p>"
    return _page.document(TITLE, f"{head}<nav><ul>{''.join(contents)}</ul></nav>{''.join(body)}")


def _accelerated() -> bool:
    """Whether JAX may find an accelerator here, which one command at a time should have."""
    return bool(importlib.metadata.entry_points(group="jax_plugins")) or importlib.util.find_spec("libtpu") is not None


def main() -> None:
    """Run the presets and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_help.Paragraphs)
    parser.add_argument("presets", nargs="*", default=list(HEADINGS))
    parser.add_argument("--output", type=Path, default=Path("outputs/paper"), help="or hydra.run.dir=DIR")
    parser.add_argument("--jobs", type=int, default=1 if _accelerated() else 2, help="commands at a time")
    arguments = parser.parse_args([word.replace("hydra.run.dir=", "--output=", 1) for word in sys.argv[1:]])
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs} must be at least 1")
    for preset in arguments.presets:
        preset_path(preset)
    begin = time.perf_counter()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = [pool.submit(run, preset, arguments.output, arguments.jobs) for preset in arguments.presets]
        try:
            entries = [one.result() for one in running]
        except BaseException:  # an interrupt reaches the commands too, which keep what they have
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    total = f"{len(entries)} commands, {time.perf_counter() - begin:.0f} s in all."
    path = arguments.output / "index.html"
    _store.write_bytes(path, render(entries, total).encode())
    _console.say(f"{total}\nopen in a browser: {path.resolve()}")


if __name__ == "__main__":
    main()
