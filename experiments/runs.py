"""Which runs are there, and how do they differ? Lists every run under a folder, in the terminal and as a page.

python -m experiments.runs [DIR] [KEY=VALUE ...]      (study=..., state=... and any setting, e.g. network.depth=3)
"""

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any

from experiments.running import catalogue, console, help, page, report, store
from experiments.running.catalogue import Run

CELL = 60  # most characters of the settings shown in the terminal


def main(words: list[str] | None = None) -> int:
    """List the runs; the exit code is 0, and 2 for a folder that is not there or a condition that is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=help.Paragraphs)
    parser.add_argument("words", nargs="*", metavar="DIR or KEY=VALUE", help="a folder (outputs) and conditions")
    parser.add_argument("--report", action="store_true", help="make the report.html of every listed run again")
    parser.add_argument("--no-page", action="store_true", help="write no index.html")
    arguments = parser.parse_args(words)
    folders = [word for word in arguments.words if "=" not in word]
    conditions = dict(word.split("=", 1) for word in arguments.words if "=" in word)
    root = Path(folders[0] if folders else "outputs")
    if len(folders) > 1 or not root.is_dir():
        wrong = f"{len(folders)} folders given" if len(folders) > 1 else f"there is no folder {root}"
        console.fail(f"{wrong}; name one folder that holds runs, and conditions as KEY=VALUE.")
        return 2
    runs = [run for run in catalogue.find(root) if catalogue.matches(run, conditions)]
    if not runs:
        console.say(f"no run under {root}" + (f" has {' '.join(arguments.words)}" if conditions else ""))
        return 0
    different = catalogue.differences(runs)
    for run in runs:
        console.say(_line(run, different[run.directory], root))
    if arguments.report:
        _reports(runs)
    if not arguments.no_page:
        path = root / "index.html"
        store.write_bytes(path, render(runs, different, root).encode())
        console.say(f"{len(runs)} runs: {path}")
    return 0


def _line(run: Run, settings: dict[str, Any], root: Path) -> str:
    """One run in two lines of at most 80 columns, where its name allows it."""
    z = "-" if run.worst_z is None else f"{run.worst_z:.1f}"
    about = ", ".join(f"{key}={value}" for key, value in settings.items()) or "as it is by default, or as the others"
    about = about if len(about) <= CELL else f"{about[: CELL - 3]}..."
    old = f", tlx {run.version}" if run.version and run.version != _version() else ""
    facts = (
        f"{run.state}, worst |z| {z}, {run.lanes} runs, {catalogue.age(run.changed)} old, {catalogue.size(run.size)}"
    )
    return f"{run.directory.relative_to(root)}\n  {run.study}: {about}\n  {facts}{old}"


def _version() -> str:
    from importlib.metadata import version

    return version("tlx")


def _reports(runs: list[Run]) -> None:
    for run in runs:
        with contextlib.suppress(OSError, ValueError, KeyError):
            console.say(f"report: {report.write(run.directory, store)}")


def render(runs: list[Run], different: dict[Path, dict[str, Any]], root: Path) -> str:
    """The page: a line each, with a thumbnail that leads to the run's report."""
    rows = "".join(_row(run, different[run.directory], root) for run in runs)
    head = "".join(f"<th>{name}</th>" for name in ("", "run", "state", "worst |z|", "runs", "age", "size"))
    search = (
        '<p><input id="filter" type="search" placeholder="show only lines that hold..." '
        'style="font:inherit;padding:.3em .6em;width:100%;max-width:30rem"></p>'
    )
    script = (
        "<script>document.getElementById('filter').addEventListener('input',e=>{const w=e.target.value.toLowerCase();"
        "document.querySelectorAll('tbody tr').forEach(r=>r.hidden=!r.textContent.toLowerCase().includes(w))})</script>"
    )
    body = (
        f"<h1>Runs</h1><p class=soft>{len(runs)} under {page.text(root)}, the latest first</p>{search}"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{script}'
    )
    return page.document("Runs", body)


def _row(run: Run, settings: dict[str, Any], root: Path) -> str:
    place = page.text(os.path.relpath(run.directory, root))
    target = "report.html" if (run.directory / "report.html").is_file() else ""
    picture = ""
    if run.picture is not None:
        source = page.text(os.path.relpath(run.picture, root))
        picture = f'<a href="{place}/{target}"><img src="{source}" alt="" style="width:9rem" loading="lazy"></a>'
    about = "<br>".join(f"<code>{page.text(key)}={page.text(value)}</code>" for key, value in settings.items())
    z = "" if run.worst_z is None else f"{run.worst_z:.2f}"
    kind = "good" if run.state == "finished" else "bad" if run.state.startswith("failed") else "soft"
    name = f'<a href="{place}/{target}">{place}</a> <span class=soft>{page.text(run.study)}</span><br>{about}'
    facts = f"<td class=number>{run.lanes}</td><td>{catalogue.age(run.changed)}</td><td>{catalogue.size(run.size)}</td>"
    state = f"<td class={kind}>{page.text(run.state)}</td><td class=number>{z}</td>"
    return f"<tr><td>{picture}</td><td>{name}</td>{state}{facts}</tr>"


if __name__ == "__main__":
    raise SystemExit(main())
