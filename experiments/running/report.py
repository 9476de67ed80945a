"""report.html: one self-contained page per run, made from the files that the run left and from nothing else.

It can therefore be made again at any time: `python -m experiments.runs DIR --report`.
"""

import json
from pathlib import Path
from typing import Any

from experiments.running import page

MAX_BYTES = 3_000_000  # of the whole page; the pictures share what the text leaves
NAMED = 6  # changed settings in a run's name
NO_NEWS = ("study", "figures", "force", "plan", "store", "shard", "checkpoint", "distributed", "quiet", "figure_style")


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration as one level of dotted keys."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def changed(config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value, default) of every setting that differs from its default and changes the science."""
    now, before = flat(config), flat(defaults)
    return {
        key: (value, before.get(key))
        for key, value in now.items()
        if value != before.get(key) and key.split(".")[0] not in NO_NEWS
    }


def write(directory: Path, store: Any) -> Path:
    """Make report.html of a run's directory from its summary.json and figures; returns its path.

    Args:
        directory: holds summary.json and the files that it names.
        store: anything with write_bytes(path, content), which must be atomic.
    """
    summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    path = directory / "report.html"
    store.write_bytes(path, render(directory, summary).encode())
    return path


def render(directory: Path, summary: dict[str, Any]) -> str:
    """The page of a run as text."""
    question = summary.get("question") or summary["study"].replace("_", " ")
    parts = [
        f"<h1>{page.text(question)}</h1>",
        f"<p><strong>{page.text(name(summary))}</strong></p>",
        f'<p class="soft">{page.text(_subtitle(summary))}</p>',
        f"<p><code>{page.text(summary.get('command') or 'from Python')}</code></p>",
        _settings(summary),
        _distances(summary),
        _statuses(summary),
        _findings(summary),
        _figures(directory, summary),
        _again(summary),
        _origin(summary),
    ]
    return page.document(name(summary), "\n".join(part for part in parts if part))


def name(summary: dict[str, Any]) -> str:
    """What a run is called: its study, and what it changes, so that two runs are told apart by their names."""
    study = summary["study"].replace("_", " ")
    changes = [f"{key.rpartition('.')[2]} = {_short(now)}" for key, (now, _) in (summary.get("changed") or {}).items()]
    more = f", and {len(changes) - NAMED} more" if len(changes) > NAMED else ""
    return f"{study}: {', '.join(changes[:NAMED])}{more}" if changes else f"{study}: all settings at their defaults"


def _subtitle(summary: dict[str, Any]) -> str:
    seconds = summary.get("seconds", {}).get("compute", 0.0)
    runs = summary.get("training_runs", 0)
    took = f"{runs:,} training runs in {seconds:.0f} s" if runs else "nothing was left to compute in the last call"
    return f"{summary.get('title', '')} · {took} · {summary.get('device', '')} · {summary.get('dtype', '')}".strip(" ·")


def _settings(summary: dict[str, Any]) -> str:
    rows = summary.get("changed") or {}
    if not rows:
        return "<h2>Settings</h2><p>All settings are the defaults of the study.</p>"
    table = page.table(("setting", "here", "default"), [(key, _short(a), _short(b)) for key, (a, b) in rows.items()])
    return f"<h2>Settings that differ from the defaults</h2>{table}"


def _short(value: Any) -> str:
    text = "null" if value is None else json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else f"{text[:77]}..."


def _distances(summary: dict[str, Any]) -> str:
    facts = summary.get("protocols") or summary.get("methods") or {}
    if not facts:
        return ""
    head = ("", "cells", "instances", "typical |z|", "within 3 se", "worst z", "worst cell", "")
    rows = []
    for name, f in facts.items():
        if not f.get("cells"):
            rows.append((name, 0, f.get("instances", 0), "", "", "", "no cell to compare", ""))
            continue
        few = f.get("remark", "") if f.get("claimed", True) else "a form that is not claimed to hold here"
        share, worst = f"{100 * f['within_3']:.1f} %", f"{f['worst_z']:+.2f}"
        rows.append((name, f["cells"], f["instances"], f"{f['typical_z']:.2f}", share, worst, f["worst_cell"], few))
    about = (
        "z = (mean of the trained networks − theory) / standard error over instances, as the normal deviate that is as "
        "unlikely where instances are few (Student's t; linear transfer by the exact law of its risk, chi-squared). By "
        "chance alone 99.7 % of independent cells lie within 3."
    )
    return (
        f"<h2>Distance from theory, in standard errors</h2>{page.table(head, rows, range(1, 6))}"
        f'<p class="soft">{page.text(about)}</p>{_worst(facts)}'
    )


def _worst(facts: dict[str, Any]) -> str:
    rows = [(name, cell["cell"], f"{cell['z']:+.2f}") for name, f in facts.items() for cell in f.get("worst_cells", [])]
    if not rows:
        return ""
    return f"<details><summary>The worst cells</summary>{page.table(('', 'cell', 'z'), rows, (2,))}</details>"


def _statuses(summary: dict[str, Any]) -> str:
    counts = summary.get("lanes_by_status", {})
    names = list(dict.fromkeys(name for found in counts.values() for name in found))
    if not names:
        return ""
    rows = [(protocol, *(found.get(name, 0) for name in names)) for protocol, found in counts.items()]
    return f"<h2>Training runs by status</h2>{page.table(('', *names), rows, range(1, len(names) + 1))}"


def _findings(summary: dict[str, Any]) -> str:
    lines = [*summary.get("findings", []), *summary.get("notes", "").splitlines()]
    missing = summary.get("missing", [])
    if missing:
        lines.append(f"{len(missing)} units are missing, and with them their cells: {'; '.join(missing[:5])}")
    if not lines:
        return ""
    return "<h2>Findings and remarks</h2><ul>" + "".join(f"<li>{page.text(line)}</li>" for line in lines) + "</ul>"


def _figures(directory: Path, summary: dict[str, Any]) -> str:
    captions = summary.get("captions", {})
    pictures = [name for name in summary.get("files", []) if name.endswith(".png") and (directory / name).is_file()]
    if not pictures:
        return ""
    share = int(0.7 * (MAX_BYTES - 200_000) / len(pictures))  # base64 takes a third more
    out = []
    for name in pictures:
        stem = name.removesuffix(".png")
        caption = captions.get(stem, "")
        pdf = f' <a href="{page.text(stem)}.pdf">PDF</a>' if (directory / f"{stem}.pdf").is_file() else ""
        picture = page.image(directory / name, caption or stem, min(share, page.MAX_IMAGE_BYTES))
        out.append(f"<figure>{picture}<figcaption>{page.text(caption)}{pdf}</figcaption></figure>")
    return "<h2>Figures</h2>" + "\n".join(out)


def _again(summary: dict[str, Any]) -> str:
    command = summary.get("command", "")
    if not command:
        return ""
    instances = flat(summary.get("config", {})).get("ensemble.num_instances")
    more = f"{command} ensemble.num_instances={2 * instances}" if isinstance(instances, int) else ""
    if " hydra.run.dir=" in command:
        more = ""  # the same directory would be refused
    lines = [command, f"{command} force=true", *([more] if more else [])]
    notes = ("draws again what is missing", "computes everything again", "twice as many instances, in its own folder")
    body = "\n".join(f"{line}    # {note}" for line, note in zip(lines, notes, strict=False))
    return (
        f"<h2>Run it again, or extend it</h2><pre>{page.text(body)}</pre>"
        '<p><a href="results.nc">results.nc</a> holds every instance of every cell, and every number that is plotted; '
        '<a href="summary.json">summary.json</a> this page in numbers.</p>'
    )


def _origin(summary: dict[str, Any]) -> str:
    keys = ("tlx", "jax", "numpy", "python", "device", "dtype", "seed", "identity", "results_sha256")
    rows = [(key, summary[key]) for key in keys if key in summary]
    rows += [(f"seconds: {name}", value) for name, value in summary.get("seconds", {}).items()]
    config = json.dumps(summary.get("config", {}), indent=1)
    return (
        f"<h2>Where the numbers come from</h2>{page.table(('', ''), rows)}"
        f"<details><summary>All settings</summary><pre>{page.text(config)}</pre></details>"
    )
