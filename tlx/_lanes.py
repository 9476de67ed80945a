"""How arrays that name lanes are checked, laid flat, and unfolded again."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from tlx._checks import require

Progress = Callable[[int, int], None] | None  # called with (lanes done, lanes in all)


def broadcast(columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Columns broadcast to one shape and laid flat, and that shape."""
    shapes = {name: values.shape for name, values in columns.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        raise ValueError(f"lanes have shapes {shapes}, which do not broadcast against each other.") from None
    full = dict(zip(columns, np.broadcast_arrays(*columns.values()), strict=True))
    shape = next(iter(full.values())).shape
    require(len(shape) > 0, "lanes have no axis; pass at least one array, such as instances = np.arange(20).")
    return {name: values.ravel() for name, values in full.items()}, shape


def integers(name: str, values: Any, minimum: int = 0) -> np.ndarray:
    """Values as int32; what is not a whole number of at least `minimum` is refused."""
    array = np.asarray(values)
    whole = array.dtype.kind in "iu" and array.size > 0 and bool(np.all((array >= minimum) & (array < 2**31)))
    require(whole, f"{name} = {values} must be integers of at least {minimum}, at least one of them.")
    return array.astype(np.int32)


def shaped(found: PyTree, shape: tuple[int, ...]) -> Any:
    """Results with the lane axis unfolded into the axes of the lanes."""
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), found)
