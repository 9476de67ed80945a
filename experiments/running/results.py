"""The files a person opens: results.nc, summary.json and figures, written from an assembled data set."""

import hashlib
import io
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.running import compute as _runner
from experiments.running import console as _console
from experiments.running import files as _files
from experiments.running import report as _report
from experiments.running import study as _study
from experiments.running.study import Study, UserError


def chosen_figures(study: Study, config: Any) -> list[str]:
    """The figures a configuration asks for."""
    chosen = list(study.figures) if config.figures is None else config.figures
    for figure in chosen:
        if figure not in study.figures:
            raise UserError(f"figures holds {figure!r}; {study.name} draws {', '.join(study.figures)}.")
    return chosen


def complete(directory: Path, figures: list[str]) -> bool:
    """Whether results.nc, summary.json, report.html and the chosen figures are all there and whole."""
    try:
        summary = _files.read_json(directory / "summary.json")
        content = _files.read_bytes(directory / "results.nc")
        written = [str(file) for file in summary["files"]]
        undrawn = [str(name) for name in summary.get("undrawn", [])]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    drawn = all(figure in undrawn or any(file.startswith(f"{figure}.") for file in written) for figure in figures)
    present = all((directory / file).exists() for file in (*written, "report.html"))
    same = summary.get("results_sha256") == hashlib.sha256(content).hexdigest()
    return same and drawn and present and not summary.get("missing")


def provenance(config: Any) -> dict[str, str]:
    """Where and with what a result was computed."""
    import jax

    import tlx

    device = jax.devices()[0]
    return {
        "tlx": tlx.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": f"{device.device_kind} x {jax.device_count()}",
        "dtype": config.precision.value,
        "seed": str(config.seed),
        "config": json.dumps(_study.plain(config)),
    }


def save(figure: Any, directory: Path, name: str) -> list[str]:
    """Write a figure as PNG and PDF, whole or not at all, and close it. Returns the file names."""
    from matplotlib import pyplot  # there already: something was drawn

    names = []
    for kind in ("png", "pdf"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind)
        _files.write_bytes(directory / f"{name}.{kind}", buffer.getvalue())
        names.append(f"{name}.{kind}")
    pyplot.close(figure)
    return names


def _changed(study: Study, config: Any) -> dict[str, Any]:
    """Key -> (value, default) of what a configuration changes."""
    return _report.changed(_study.plain(config), _study.plain(study.Config()))


def _draw(
    study: Study, data: Any, directory: Path, chosen: list[str], style: str, in_part: bool
) -> tuple[list[str], dict[str, str], list[str]]:
    """Draw the chosen figures; their files, their captions (the label that a figure carries) by name, and those that
    cannot be drawn of what is left (`in_part`: cells are missing, or runs failed)."""
    files, captions, undrawn = [], {}, []
    for name in chosen:
        try:
            figure = study.figures[name](data.assign_attrs(figure_style=style))
            captions[name] = str(figure.get_label())
            files += save(figure, directory, name)
        except Exception as error:
            if not in_part:
                raise
            undrawn.append(name)
            _console.fail(f"figure {name} cannot be drawn of what is left ({type(error).__name__}: {error})")
    return files, captions, undrawn


def finish(
    study: Study, config: Any, directory: Path, data: Any, attributes: dict, outcome: _runner.Outcome, chosen: list[str]
) -> None:
    """results.nc, figures and summary.json from an assembled data set, and the closing table."""
    attributes = {**provenance(config), **attributes, "study": study.name}
    missing = data.attrs.get("missing", "").splitlines()
    findings = data.attrs.get("findings", "").splitlines()
    checksum = _study.write_results(directory, data, attributes)
    verdicts = study.verdicts(data)
    statuses = study.statuses(data)
    failed = any(bool(np.any(codes >= 2)) for codes in statuses.values())  # those that diverged, in no mean
    begin = time.perf_counter()
    files, captions, undrawn = _draw(study, data, directory, chosen, config.figure_style.value, bool(missing) or failed)
    drawing = time.perf_counter() - begin
    for name, text in study.exports(config, data).items():
        _files.write_bytes(directory / name, text.encode())
        files.append(name)
    summary = {
        **attributes,
        "config": _study.plain(config),
        "question": study.question,
        "title": data.attrs.get("title", ""),
        "changed": _changed(study, config),
        "captions": captions,
        "protocols": {v.method: _console.facts(v) for v in verdicts},
        "lanes_by_status": {method: _console.count(codes) for method, codes in statuses.items()},
        "seconds": {"compute": round(outcome.seconds, 3), "figures": round(drawing, 3)},
        "training_runs": outcome.lanes,
        "findings": findings,
        "notes": data.attrs.get("notes", ""),
        "tables": json.loads(data.attrs.get("tables", "{}")),
        "missing": missing,
        "results_sha256": checksum,
        "files": ["results.nc", *files],
        "undrawn": undrawn,
    }
    _files.write_bytes(directory / "summary.json", json.dumps(summary, indent=1, default=_files.plain).encode())
    _report.write(directory, _files)
    _console.closing(verdicts, statuses, outcome, data.attrs.get("notes", ""), findings)
    if missing:
        _console.say(f"{len(missing)} units are missing, and with them their cells:\n  " + "\n  ".join(missing[:20]))
    _console.say(f"results and figures: {directory}")
    _console.say(f"open in a browser: {(directory / 'report.html').resolve()}")
