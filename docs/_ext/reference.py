"""The reference: a page for every public module of tlx, made from its docstrings, each object at its shortest path."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from docutils.nodes import literal
from sphinx.application import Sphinx
from sphinx.roles import XRefRole

import tlx

_SECTIONS = re.compile(r"^(Args|Arguments|Returns|Raises|Yields|Attributes|Notes?|Examples?):\s*$")


def modules() -> list[str]:
    """Public modules, those nearest to the root first."""
    found = [info.name for info in pkgutil.walk_packages(tlx.__path__, "tlx.")]
    return sorted(
        (n for n in found if not any(p.startswith("_") for p in n.split("."))), key=lambda n: (n.count("."), n)
    )


def contents() -> dict[str, list[str]]:
    """The public functions and classes of each module; one that is handed on belongs where its path is shortest."""
    taken: set[int] = set()
    handed_on: set[str] = set()  # modules whose objects their package hands on: nobody calls them by name
    pages = {}
    for name in modules():
        module = importlib.import_module(name)
        if name in handed_on:
            continue
        if hasattr(module, "__path__"):
            handed_on |= {value.__module__ for key, value in vars(module).items() if _public(key, value, module)}
        mine = [key for key, value in vars(module).items() if _public(key, value, module) and id(value) not in taken]
        taken.update(id(vars(module)[key]) for key in mine)
        pages[name] = mine
    return pages


def _public(key: str, value: object, module: ModuleType) -> bool:
    if key.startswith("_") or isinstance(value, ModuleType) or not callable(value):
        return False
    home = getattr(value, "__module__", None) or ""
    handed_on = hasattr(module, "__path__") and home.startswith("tlx.")
    return (home == module.__name__ or handed_on) and bool(inspect.getdoc(value))


def write_pages(app: Sphinx) -> None:
    """reference/<module>.rst, and the list of them; a file that would not change is left alone."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    pages = {
        name: names for name, names in contents().items() if names or hasattr(importlib.import_module(name), "__path__")
    }
    for name, names in pages.items():
        lines = [name, "=" * len(name), "", f".. automodule:: {name}", "   :no-members:", ""]
        if names:
            lines += [".. list-table::", "   :widths: 35 65", "   :class: contents", ""]
            lines += [
                f"   * - :py:obj:`~{name}.{key}`\n     - {_summary(getattr(importlib.import_module(name), key))}"
                for key in names
            ]
        for key in names:
            value = getattr(importlib.import_module(name), key)
            kind = "autoclass" if inspect.isclass(value) else "autofunction" if inspect.isroutine(value) else "autodata"
            lines += ["", f".. {kind}:: {name}.{key}", *(["   :members:"] if kind == "autoclass" else [])]
        _write(folder / f"{name}.rst", lines)
    for old in {path.stem for path in folder.glob("tlx*.rst")} - set(pages):
        (folder / f"{old}.rst").unlink()
    top = [
        "Reference",
        "=========",
        "",
        ".. automodule:: tlx",
        "   :no-members:",
        "",
        ".. toctree::",
        "   :maxdepth: 1",
        "",
    ]
    _write(folder / "index.rst", [*top, *(f"   {name}" for name in sorted(pages))])


def _summary(value: object) -> str:
    text = inspect.getdoc(value).split("\n\n")[0].replace("\n", " ")
    return _inline(text)


def _write(path: Path, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def paths() -> dict[str, str]:
    """Where each documented name lives, for names that occur once."""
    every = [(key, f"{name}.{key}") for name, names in contents().items() for key in names]
    counts = [key for key, _ in every]
    return {**{key: path for key, path in every if counts.count(key) == 1}, **{path: path for _, path in every}}


PATHS: dict[str, str] = {}


def _inline(line: str) -> str:
    """One line of a docstring as reStructuredText: `name` becomes a link or code, everything else stays as written."""
    pieces = re.split(r"(``?[^`]+``?)", line)
    return "".join(
        _code(piece) if piece.startswith("`") else re.sub(r"([\\*|]|_(?=\W|$))", r"\\\1", piece) for piece in pieces
    )


def _code(piece: str) -> str:
    name = piece.strip("`")
    if name in PATHS or name.removesuffix("(...)") in PATHS:
        return f":py:obj:`{name} <{PATHS[name.removesuffix('(...)')]}>`"
    known = name.startswith("tlx.") and name in modules()
    return f":py:mod:`{name}`" if known else f"``{name}``"


def translate(_app: Sphinx, _kind: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Docstrings are plain text with equations: what is set in is shown as it stands, the rest is escaped."""
    result, literal, section = [], False, False
    for line in lines:
        section = section or bool(_SECTIONS.match(line))
        set_in = line.startswith("   ") and not section
        if set_in and not literal:
            result += ["", ".. code-block:: text", ""]
        elif literal and line.strip() and not set_in:
            result.append("")
        literal = set_in or (literal and not line.strip())
        result.append(line if set_in or _SECTIONS.match(line) else _inline(line))
    lines[:] = result


def skip(_app: Sphinx, _kind: str, _name: str, value: object, skipped: bool, _options: object) -> bool | None:
    """Fields of a named tuple are described in its docstring."""
    return True if (inspect.getdoc(value) or "").startswith("Alias for field number") else None


class Name(XRefRole):
    """{tlx}`risk_over_time`: a link to the object of that name, wherever it lives."""

    def process_link(self, env, refnode, has_explicit_title, title, target):  # noqa: D102
        refnode["reftype"] = "obj"
        refnode["refdomain"] = "py"
        return title, PATHS.get(target, f"tlx.{target}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Pages before anything is read; docstrings before Napoleon sees them."""
    PATHS.update(paths())
    app.add_role("tlx", Name(warn_dangling=True, innernodeclass=literal))
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", translate, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
