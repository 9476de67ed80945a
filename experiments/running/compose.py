"""From a command's words to a configuration: what Hydra must know of a study, and misspellings answered in one line."""

import hashlib
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.running import help as _help
from experiments.running.study import Study, UserError

CONF = Path(__file__).resolve().parents[2] / "conf"


def register(study: Study) -> None:
    """Make a study's schema and its primary configuration known to Hydra."""
    store = ConfigStore.instance()
    store.store(name=f"{study.name}_schema", node=study.Config)
    groups: list[Any] = [{name: None} for name in _help.groups(study.Config)]  # after presets: a choice beats a preset
    defaults = [f"{study.name}_schema", {"output": "default"}, "_self_", {"experiment": None}, *groups]
    node = {
        "defaults": [*defaults, {"override hydra/job_logging": "disabled"}],
        "study": study.name,
        "hydra": {"job": {"name": study.name}, "help": {"header": _help.wrapped(" ".join(study.about.split()))}},
    }
    store.store(name=study.name, node=node)
    for name, resolver in {
        "tlx_slug": slug,
        "tlx_presets": _help.presets,
        "tlx_groups": lambda: _help.options(study.Config),
        "tlx_leaves": lambda: study.leaves,
        "tlx_keys": lambda *, _root_: _help.keys(study.Config, _root_),
    }.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def composed(study: Study, words: list[str]) -> DictConfig:
    """The configuration of a command, Hydra's own part included; a request that makes none is a `UserError`."""
    register(study)
    check(study, words)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(study.name, overrides=words, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(_explain(study, words, error)) from None


def typed(study: Study, config: DictConfig) -> Any:
    """A composed configuration as the study's dataclass, without Hydra's part."""
    own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(study.Config), own))
    except OmegaConfBaseException as error:
        raise UserError(_explain(study, [], error)) from None


def check(study: Study, words: list[str]) -> None:
    """Refuse presets and options that do not exist, belong to another study, or are chosen twice (sweeps included)."""
    seen: dict[str, str] = {}
    for word in words:
        group, equals, value = word.lstrip("+").partition("=")
        if not equals or group not in ("experiment", *_help.GROUPS):
            continue
        if group in seen:
            raise UserError(f"{group}={seen[group]} and {group}={value}: choose one, and give keys.")
        seen[group] = value
        for choice in value.strip("[]").split(","):
            _known(study, group, choice)


def _known(study: Study, group: str, choice: str) -> None:
    if choice in ("null", "", "_") or "(" in choice:  # nothing, or one of Hydra's functions
        return
    names = [path.stem for path in (CONF / group).glob("*.yaml")]
    kind = "preset" if group == "experiment" else group
    if choice not in names:
        close = get_close_matches(choice, names, 1, 0.6)
        hint = f"did you mean {close[0]}?" if close else f"--help lists those of {study.name}."
        raise UserError(f"there is no {kind} called {choice}; {hint}")
    owner = _help.owner(choice) if group == "experiment" else study.name
    if owner != study.name:
        raise UserError(f"preset {choice} belongs to experiments.{owner}, not experiments.{study.name}; run that one.")
    if group != "experiment" and not _help.takes(study.Config, group, choice):
        options = ", ".join(name for name in sorted(names) if _help.takes(study.Config, group, name)) or "none"
        raise UserError(f"{group}={choice} sets what {study.name} does not have; it takes {options}.")


def _explain(study: Study, words: list[str], error: Exception) -> str:
    """What Hydra says, in one line with the word at fault and the nearest key."""
    lines = [line.strip() for line in [*str(error).splitlines(), *str(error.__cause__ or "").splitlines()]]
    skip = ("To append", "reference_type", "object_type", "See https", "full_key")
    kept = list(dict.fromkeys(line for line in lines if line and not line.startswith(skip)))
    keys = _keys(OmegaConf.structured(study.Config))
    for line in kept:
        if line.startswith("Could not override '"):
            wrong = line.split("'")[1]
            close = get_close_matches(wrong, keys, 1, 0.6)
            hint = f"Did you mean {close[0]}?" if close else f"--help lists the keys of {study.name}."
            return f"{study.name} has no key {wrong}. {hint}"
        if line.startswith("Key '"):
            return f"{study.name} has no key {line.split(chr(39))[1]}. --help lists those that it has."
    said = " ".join(kept) or type(error).__name__
    return said if any(word in said for word in words) else " ".join([*_unreadable(words), said])


def _unreadable(words: list[str]) -> list[str]:
    """The first word that Hydra's grammar does not take, for a message that does not name it."""
    for word in words:
        try:
            OverridesParser.create().parse_override(word)
        except (HydraException, ValueError):
            return [f"{word}:"]
    return []


def _keys(node: DictConfig, prefix: str = "") -> list[str]:
    out = []
    for key in node:
        child = node._get_node(key)
        out += _keys(child, f"{prefix}{key}.") if isinstance(child, DictConfig) else [f"{prefix}{key}"]
    return out


def slug(overrides: str) -> str:
    """A directory name from a command's overrides: preset first, then what is changed; hashed where it is too long.

    The order in which a command gives its keys makes no other name.
    """
    words = sorted(re.split(r",(?=[\w.+~/@]+=)", overrides)) if overrides else []
    words.sort(key=lambda word: not word.startswith("experiment="))
    shown = ",".join(re.sub(r"=(['\"])(.*)\1$", r"=\2", word) for word in words).replace("experiment=", "")
    text = "".join(c if c.isalnum() or c in "=._,-" else "-" for c in shown) or "default"
    return text if len(text) <= 80 else f"{text[:64]}-{hashlib.sha256(overrides.encode()).hexdigest()[:12]}"
