"""What --help says: a study's question, its presets, and every key with its value and meaning.

Meanings are read off the schemas (the docstring of a group, the comment beside a field), so that they are said once.
"""

import argparse
import dataclasses
import functools
import inspect
import re
import textwrap
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONF = Path(__file__).resolve().parents[2] / "conf"
GROUPS = ("task", "network", "optimizer", "pretraining", "device")  # of named options, beside the presets
COLUMNS = 80  # of the whole text
WIDTH = 38  # of the column of keys and values


class Paragraphs(argparse.HelpFormatter):
    """Help of a command that is no study: paragraphs wrapped to 80 columns, commands on lines of their own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = ["\n".join(self._lines(part)) for part in text.strip().split("\n\n")]
        return "\n\n".join(parts)

    @staticmethod
    def _lines(part: str) -> list[str]:
        out: list[str] = []
        prose: list[str] = []
        for line in part.splitlines():
            if not line.startswith("python "):
                prose.append(line.strip())
                continue
            out += textwrap.wrap(" ".join(prose), COLUMNS - 2)
            prose = []
            out += textwrap.wrap(line, COLUMNS - 2, subsequent_indent="    ", break_on_hyphens=False)
        return [*out, *textwrap.wrap(" ".join(prose), COLUMNS - 2)]


def wrapped(text: str, indent: str = "") -> str:
    """Text of at most 80 columns, words whole."""
    options = {"subsequent_indent": indent, "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, COLUMNS, initial_indent=indent, **options) for line in text.splitlines())


def entry(word: str, about: str) -> str:
    """A word and what it is about beside it, wrapped; below it where the word is long."""
    rows = textwrap.wrap(word, COLUMNS - 4, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)
    word = "\n  ".join(rows)
    if not about:
        return f"  {word}"
    lines = textwrap.wrap(about, COLUMNS - WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    head = f"  {word:{WIDTH - 2}s}  "
    first = f"{head}{lines[0]}" if len(word) <= WIDTH - 2 else f"  {word}\n{' ' * (WIDTH + 2)}{lines[0]}"
    return "\n".join([first, *(f"{' ' * (WIDTH + 2)}{line}" for line in lines[1:])])


def preset_names(study: str) -> list[str]:
    """The presets of a study."""
    return [path.stem for path in sorted((CONF / "experiment").glob("*.yaml")) if owner(path.stem) == study]


def presets(study: str) -> str:
    """The presets of a study, one a line, with the comment at the head of each."""
    lines = [entry(f"experiment={name}", purpose("experiment", name)) for name in preset_names(study)]
    return "\n".join(lines) or "  none: the defaults are the study"


def purpose(group: str, name: str) -> str:
    """The comment at the head of a preset or option."""
    lines = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return " ".join(c for line in lines if line[:1] == "#" and not (c := line[1:].strip()).startswith("@package"))


def owner(preset: str) -> str | None:
    """The study that a preset belongs to; None for a preset that does not exist."""
    path = CONF / "experiment" / f"{preset}.yaml"
    found = re.search(r"^study:\s*(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else None
    return found.group(1) if found else None


def groups(schema: type) -> list[str]:
    """The groups of options that a study with this schema takes."""
    names = {field.name for field in dataclasses.fields(schema)}
    return [group for group in GROUPS if group in names or group == "device"]


def takes(schema: type, group: str, option: str) -> bool:
    """Whether every key that an option sets is one of the schema's."""
    if group == "device":
        return True
    if group not in groups(schema):
        return False
    chosen = OmegaConf.load(CONF / group / f"{option}.yaml")
    try:
        OmegaConf.merge(_structured(schema)[group], chosen)
    except OmegaConfBaseException:
        return False
    return True


@functools.cache
def _structured(schema: type) -> DictConfig:
    return OmegaConf.structured(schema)


def options(schema: type) -> str:
    """The options that a study takes, one a line, with the comment at the head of each."""
    found = [(group, path.stem) for group in groups(schema) for path in sorted((CONF / group).glob("*.yaml"))]
    kept = [(f"{group}={name}", purpose(group, name)) for group, name in found if takes(schema, group, name)]
    return "\n".join(entry(choice, about) for choice, about in kept)


def keys(schema: type, config: DictConfig) -> str:
    """Every key of a schema, with its present value and what it means."""
    return "\n".join(_keys(schema, config, ""))


def about_keys(schema: type, config: DictConfig, asked: str) -> str:
    """The entries of the keys whose name, or a part of it, is `asked`; of those that hold it where none is."""
    entries = [one for one in re.split(r"\n(?=  \S)", keys(schema, config)) if " = " in one]
    names = [one.split(" = ")[0].strip() for one in entries]
    exact = [i for i, name in enumerate(names) if name == asked or asked in name.split(".")]
    chosen = exact or [i for i, name in enumerate(names) if asked in name]
    return "\n".join(re.split(r"\n\n", "  " + entries[i].strip())[0] for i in chosen)


def _keys(schema: type, config: DictConfig, prefix: str) -> list[str]:
    meanings = _meanings(schema)
    plain, groups = [], []
    for field in dataclasses.fields(schema):
        if field.name == "study":
            continue
        kind = OmegaConf.get_type(config, field.name)
        if dataclasses.is_dataclass(kind):
            about = inspect.getdoc(kind).splitlines()[0]
            groups += [
                "",
                wrapped(f"{field.name}: {about}"),
                *_keys(kind, config[field.name], f"{prefix}{field.name}."),
            ]
        else:
            assignment = f"{prefix}{field.name} = {_value(config[field.name])}"
            choices = f"{' | '.join(o.value for o in kind)}. {inspect.getdoc(kind)}" if _is_enum(kind) else ""
            meaning = choices or meanings.get(field.name, "")
            plain.append(entry(assignment, meaning))
    return plain + groups


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _meanings(schema: type) -> dict[str, str]:
    """Field -> the comment beside it, base classes first."""
    found: dict[str, str] = {}
    for owner in reversed([c for c in schema.__mro__ if dataclasses.is_dataclass(c)]):
        found |= dict(re.findall(r"^    (\w+):.*?  # (.*)$", inspect.getsource(owner), re.MULTILINE))
    return found


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool):
        return str(value).lower()
    return str(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
