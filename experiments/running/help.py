"""What --help says: a study's question, its presets, and every key with its value and meaning.

Meanings are read off the schemas (the docstring of a group, the comment beside a field), so that they are said once.
"""

import dataclasses
import inspect
import re
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

PRESETS = Path(__file__).resolve().parents[2] / "conf" / "experiment"
WIDTH = 44  # of the column of keys and values


def presets(study: str) -> str:
    """The presets of a study, one a line, with the comment at the head of each."""
    lines = []
    for path in sorted(PRESETS.glob("*.yaml")):
        if owner(path.stem) == study:
            comments = [line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
            about = " ".join(c for c in comments if not c.startswith("@package"))
            lines.append(f"  experiment={path.stem:27s} {about}")
    return "\n".join(lines) or "  none: the defaults are the study"


def owner(preset: str) -> str | None:
    """The study that a preset belongs to; None for a preset that does not exist."""
    path = PRESETS / f"{preset}.yaml"
    found = re.search(r"^study:\s*(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else None
    return found.group(1) if found else None


def keys(schema: type, config: DictConfig) -> str:
    """Every key of a schema, with its present value and what it means."""
    return "\n".join(_keys(schema, config, ""))


def _keys(schema: type, config: DictConfig, prefix: str) -> list[str]:
    meanings = _meanings(schema)
    plain, groups = [], []
    for field in dataclasses.fields(schema):
        if field.name == "study":
            continue
        kind = OmegaConf.get_type(config, field.name)
        if dataclasses.is_dataclass(kind):
            about = inspect.getdoc(kind).splitlines()[0]
            groups += ["", f"{field.name}: {about}", *_keys(kind, config[field.name], f"{prefix}{field.name}.")]
        else:
            assignment = f"  {prefix}{field.name} = {_value(config[field.name])}"
            choices = f"{' | '.join(o.value for o in kind)}. {inspect.getdoc(kind)}" if _is_enum(kind) else ""
            meaning = choices or meanings.get(field.name, "")
            plain.append(f"{assignment:{WIDTH}s}  {meaning}".rstrip())
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
