"""Every linear figure of the paper, and those it left out, with one index page.

python -m experiments.paper [--output DIR] [preset ...]

Each preset under conf/experiment is one command of one study; what is finished is not computed again. The page says
for each the command, seconds, training runs, and the worst distance from theory.
"""

import argparse
import html
import json
import subprocess
import sys
import time
from pathlib import Path

import yaml

from experiments.running import compose as _compose
from experiments.running import console as _console
from experiments.running import store as _store

PRESETS = (
    "phase_diagram_noisy",
    "phase_diagram_flow",
    "phase_diagram_noiseless",
    "double_descent",
    "optimal_weight_decay",
    "ridge_sweep",
    "finite_source_half",
    "finite_source_three_halves",
    "noise_levels",
    "depths",
    "target_norms",
    "source_sizes",
    "power_law_inputs",
    "learning_curves",
    "stopping",
    "tuned",
    "frozen_layers",
    "sgd",
    "several_outputs",
)

PAGE = """<!doctype html><meta charset="utf-8"><title>Transfer in deep linear networks: every figure</title>
<style>body{{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}}img{{max-width:100%}}
table{{border-collapse:collapse}}td,th{{padding:.1em .8em;text-align:left;border-bottom:1px solid #ddd}}</style>
<h1>Transfer in deep linear networks: every figure</h1>
<p>{total}</p>
{body}
"""


def preset_path(preset: str) -> Path:
    """Where a preset is defined; an unknown one stops here."""
    path = _compose.CONF / "experiment" / f"{preset}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise SystemExit(f"error: there is no preset {preset!r}; choose from {known}.")
    return path


def purpose(path: Path) -> str:
    """The comment that a preset begins with."""
    lines = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return " ".join(line for line in lines if not line.startswith("@package"))


def run(preset: str, output: Path) -> dict:
    """Run one preset in a process of its own, and read its summary."""
    path = preset_path(preset)
    study = yaml.safe_load(path.read_text())["study"]
    command = [sys.executable, "-m", f"experiments.{study}", f"experiment={preset}", f"hydra.run.dir={output / preset}"]
    begin = time.perf_counter()
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command[1:])} ended with code {done.returncode}; what is finished is kept.")
    summary = json.loads((output / preset / "summary.json").read_text())
    seconds = time.perf_counter() - begin
    return {"preset": preset, "study": study, "purpose": purpose(path), "seconds": seconds, "summary": summary}


def section(entry: dict) -> str:
    """One preset's part of the page."""
    name, summary = entry["preset"], entry["summary"]
    compute, rows = summary["seconds"]["compute"], []
    for method, f in summary["protocols"].items():
        if f["cells"]:
            cells = (
                method,
                f["cells"],
                f["instances"],
                f"{100 * f['within_3']:.1f} %",
                f"{f['worst_z']:+.2f}",
                f["worst_cell"],
            )
            rows.append("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in cells) + "</tr>")
    images = [f'<p><img src="{name}/{f}" alt="{f}"></p>' for f in summary["files"] if f.endswith(".png")]
    head = "<tr><th>method<th>cells<th>instances<th>within 3 se<th>worst z<th>worst cell</tr>"
    notes = html.escape(summary.get("notes", "")).replace("\n", "<br>")
    return f"""<h2>{html.escape(name)}</h2><p>{html.escape(entry["purpose"])}</p>
<p><code>python -m experiments.{entry["study"]} experiment={name}</code><br>
{entry["seconds"]:.0f} s, of which {compute:.0f} s computing {summary["training_runs"]} training runs</p>
<table>{head}{"".join(rows)}</table><p>{notes}</p>{"".join(images)}"""


def main() -> None:
    """Run the presets and write the index."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--output", type=Path, default=Path("outputs/paper"))
    arguments = parser.parse_args()
    for preset in arguments.presets:
        preset_path(preset)
    entries = [run(preset, arguments.output) for preset in arguments.presets]
    total = f"{len(entries)} commands, {sum(e['seconds'] for e in entries):.0f} s in all."
    page = PAGE.format(total=total, body="\n".join(section(entry) for entry in entries))
    _store.write_bytes(arguments.output / "index.html", page.encode())
    _console.say(f"{total} {arguments.output / 'index.html'}")


if __name__ == "__main__":
    main()
