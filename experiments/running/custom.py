"""What a configuration names as package.module:function: fetched, called, and told from other versions of its code."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def make(key: str, name: str, options: Mapping[str, Any]) -> Any:
    """What the function that `key` names returns for those of the options that its signature asks for.

    Raises:
        ValueError: it cannot be imported or called; one sentence that names it.
    """
    function = load(key, name)
    try:
        signature = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise ValueError(f"{key} = {name}: it has no signature; make it a function.") from None
    taken = {option: value for option, value in options.items() if option in signature}
    needed = [
        p.name for p in signature.values() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    unknown = [parameter for parameter in needed if parameter not in options]
    if unknown:
        raise ValueError(
            f"{key} = {name}: it asks for {', '.join(unknown)}, and can have {', '.join(options)}; give the others "
            "defaults."
        )
    return _made(key, name, function, tuple(sorted(taken.items())))


@functools.lru_cache(maxsize=64)  # one object for equal arguments: compiled programs are kept by it
def _made(key: str, name: str, function: Callable, options: tuple[tuple[str, Any], ...]) -> Any:
    try:
        return function(**dict(options))
    except Exception as error:  # whatever someone else's code raises
        given = ", ".join(f"{option}={value!r}" for option, value in options)
        raise ValueError(f"{key} = {name}: called with ({given}) it raised {_said(error)}.") from error


def load(key: str, name: str) -> Callable:
    """The function that "package.module:function" names."""
    module, function = _parts(key, name)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a module may raise anything while it is imported
        raise ValueError(
            f"{key} = {name}: {module} cannot be imported ({_said(error)}); it is looked for in {os.getcwd()} and "
            "along PYTHONPATH."
        ) from error
    if not callable(getattr(found, function, None)):
        names = [n for n, v in vars(found).items() if callable(v) and getattr(v, "__module__", "") == module]
        raise ValueError(
            f"{key} = {name}: {module} has no function {function}; it has {', '.join(names) or 'none of its own'}."
        )
    return getattr(found, function)


def version(name: str) -> list[str]:
    """The name, and a digest of the file that holds the function: results of another version are others' results."""
    module, _ = _parts("custom", name)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return [name, "no file"]
    return [name, hashlib.blake2b(Path(spec.origin).read_bytes(), digest_size=8).hexdigest()]


def _parts(key: str, name: str) -> tuple[str, str]:
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"{key} = {name}: write package.module:function.")
    return module, function


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0].rstrip('.')}"
