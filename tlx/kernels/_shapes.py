"""What every Gram matrix asks of its arguments, and norms whose derivative at zero is zero."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx._checks import require


def check_pair(first: Array, second: Array) -> None:
    """Refuse anything but two matrices whose rows have the same length >= 1."""
    require(
        first.ndim == 2 and second.ndim == 2 and first.shape[1] == second.shape[1] and first.shape[1] > 0,
        f"rows of shape {first.shape} and {second.shape} do not pair; pass matrices (k, d) and (m, d), d >= 1.",
    )


def unit_rows(rows: Float[Array, "k d"]) -> tuple[Float[Array, " k"], Float[Array, "k d"]]:
    """Row norms and unit rows; a zero row has norm 0, direction 0 and no derivative (the double-where trick)."""
    square = jnp.sum(rows**2, axis=1)
    norm = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    return norm, rows / jnp.where(norm > 0, norm, 1)[:, None]
