"""Argument checks: each names the value it refuses and the remedy, before any compute.

Values that are being traced (inside `jit`, `vmap`, `grad`) cannot be inspected; they pass through, and the
numerical code turns an impossible value into a NaN or a lane status instead.
"""

from typing import Any

import jax
import numpy as np

_ABSTRACT = (jax.core.Tracer, jax.ShapeDtypeStruct, jax.stages.ArgInfo)


def is_traced(value: Any) -> bool:
    """Whether `value` is abstract, so that its numbers cannot be looked at now."""
    return any(isinstance(leaf, _ABSTRACT) or type(leaf) is object for leaf in jax.tree.leaves(value))


def concrete(value: Any) -> np.ndarray | None:
    """`value` as a NumPy array, or None while it is traced (or a placeholder inside a JAX transformation)."""
    return None if is_traced(value) else np.asarray(value)


def require(condition: bool | np.bool_, message: str) -> None:
    """Raise `ValueError(message)` unless `condition` holds. The message names the value and the remedy."""
    if not condition:
        raise ValueError(message)


def check_range(
    name: str,
    value: Any,
    low: float | int = -np.inf,
    high: float | int = np.inf,
    *,
    open_low: bool = False,
    remedy: str = "",
) -> None:
    """Refuse any entry of `value` outside [low, high] (or (low, high] with `open_low`); NaN is refused too."""
    array = concrete(value)
    if array is None:
        return
    if array.dtype.kind in "cSU":
        raise TypeError(f"{name} = {value!r} is not a real number; pass an int, a float or an array of them.")
    ok = (array > low if open_low else array >= low) & (array <= high)
    if not np.all(ok):
        bad = np.atleast_1d(array)[~np.atleast_1d(ok)][0]
        bracket = "(" if open_low else "["
        raise ValueError(f"{name} = {bad} is outside {bracket}{low}, {high}]. {remedy}".rstrip())


def check_number(name: str, value: Any) -> None:
    """Refuse what is not a finite real number, or an array or sequence of them (TypeError for another type)."""
    array = concrete(value)
    if array is None:
        return
    if array.dtype.kind not in "iuf" and not jax.dtypes.issubdtype(array.dtype, np.floating):  # bfloat16 is a float
        raise TypeError(f"{name} = {value!r} is not a real number; pass an int, a float or an array of them.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} = {value} is not finite; pass a finite number.")


def check_instance(name: str, value: Any, kind: type) -> None:
    """Refuse an object of another type."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} = {value!r} is a {type(value).__name__}; pass a {kind.__name__}.")


def check_angle(name: str, value: Any) -> None:
    """Refuse an angle outside [0, pi] radians."""
    check_range(name, value, 0.0, float(np.pi) * (1 + 1e-6), remedy="Angles are in radians, between 0 and pi.")


def check_nonnegative(name: str, value: Any, remedy: str = "") -> None:
    """Refuse a negative or NaN value."""
    check_range(name, value, 0.0, remedy=remedy or f"Pass {name} >= 0.")


def check_positive(name: str, value: Any, remedy: str = "") -> None:
    """Refuse a value that is not above zero."""
    check_range(name, value, 0.0, open_low=True, remedy=remedy or f"Pass {name} > 0.")


def check_count(name: str, value: int, minimum: int = 1, remedy: str = "") -> None:
    """Refuse a size or count that is not an integer of at least `minimum` (static arguments only)."""
    ok = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= minimum
    require(ok, f"{name} = {value!r} must be an integer of at least {minimum}. {remedy}".rstrip())


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """Refuse a value outside a fixed list of names."""
    require(value in choices, f"{name} = {value!r} is not one of {', '.join(map(str, choices))}.")
