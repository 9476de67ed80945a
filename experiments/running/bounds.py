"""Numbers of a configuration that no study can use, refused by the key that holds them before anything is made of them.

Each study checks what its values mean. Here stands what holds for all: numbers are finite, sizes are such that a
machine exists for them, and what steers the run makes sense.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

from experiments.running.study import UserError

CELLS = 10**8  # of a grid, all axes together

# the end of a key -> the smallest and the largest value
RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "num_instances": (1, 10**6),
    "instances_per_unit": (1, 10**6),
    "lanes_together": (1, 10**6),
    "memory_gb": (1e-6, 1e6),
    "checkpoint.seconds": (0, 1e9),
    "num_steps": (1, 10**10),
    "dim": (1, 10**6),
    "width": (1, 10**7),
    "depth": (1, 1000),
    "num_neurons": (1, 10**6),
    "batch_size": (1, 10**9),
    "num_samples": (1, 10**8),
    "num_test": (1, 10**8),
    "num_nodes": (1, 10**7),
    "source_ratio": (0, 1e6),
    "init_scale": (-1e3, 1e3),
    "covariance_exponent": (-20, 20),
    "num_records": (1, 10**6),
    "num_resamples": (1, 10**6),
    "repeats": (1, 10**6),
    "num_processes": (1, 10**6),
    "process_id": (0, 10**6),
}
GRID = (-(10**5), 10**5)  # an int in a grid is a number of steps; a study says what is too few
LARGEST = 1e30  # of any other number: its square is a float32


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a typed configuration with its dotted key; lists item by item."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        elif isinstance(value, list | tuple):
            yield from ((f"{prefix}{field.name}", item) for item in value)
        else:
            yield f"{prefix}{field.name}", value


def check(config: Any) -> None:
    """Refuse a number that is not finite or out of bounds.

    Raises:
        UserError: it names the key, the value and what is allowed.
    """
    for key, value in leaves(config):
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            raise UserError(f"{key} = {value} is not finite; use a finite number.")
        low, high = next(
            (bounds for end, bounds in RANGES.items() if f".{key}".endswith(f".{end}")),
            GRID if key.startswith("grid.") and isinstance(value, int) else (-LARGEST, LARGEST),
        )
        if not low <= value <= high:
            raise UserError(f"{key} = {value} is out of bounds; use a number from {low:g} to {high:g}.")


def check_size(sizes: dict[str, int], apart: tuple[tuple[str, ...], ...] = ()) -> None:
    """Refuse a grid with more cells than can be computed or kept; no array has axes of two of the groups `apart`."""
    groups = [{name: sizes[name] for name in group if name in sizes} for group in apart]
    largest = max(groups, key=lambda group: math.prod(group.values()), default={})
    others = {name for group in groups for name in group} - set(largest)
    crossed = {name: size for name, size in sizes.items() if name not in others}
    if math.prod(crossed.values()) > CELLS:
        shown = " x ".join(f"{name} {size}" for name, size in crossed.items())
        raise UserError(f"the grid {shown} has more than {CELLS:.0e} cells; make it smaller, or run it in parts.")


def by_key(message: str, config: Any) -> str:
    """A message that begins with "name = value", with the key of the configuration in place of a bare name."""
    found = re.match(r"(\w+) = (\S+)", message)
    if found is None:
        return message
    name, value = found.groups()
    keys = {key for key, held in leaves(config) if key.endswith(f".{name}") and _same(held, value.rstrip(",;:."))}
    return f"{keys.pop()}{message[len(name) :]}" if len(keys) == 1 else message


def _same(held: Any, text: str) -> bool:
    try:
        return str(held) == text or float(held) == float(text)
    except (TypeError, ValueError):
        return False
