"""Broadcasting by hand: rank promotion may be an error, and every argument of a formula may be an array."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from tlx import _checks

# What every numeric argument of the theory accepts: a number or an array, broadcast against the others.
Numbers = Real[ArrayLike, "..."]
Result = Float[Array, "..."]


def common(*values: Numbers) -> list[Array]:
    """All `values` with one floating dtype and one shape (Python numbers adopt the dtype of the arrays)."""
    values = [np.asarray(value) if isinstance(value, (list, tuple)) else value for value in values]
    dtype = jnp.result_type(*values, 0.0)
    shape = jnp.broadcast_shapes(*(jnp.shape(value) for value in values))
    return [jnp.broadcast_to(jnp.asarray(value, dtype), shape) for value in values]


def guarded(condition: Array, value: Array, stand_in: Array | float = 1.0) -> Array:
    """`value` where `condition` holds, a harmless number elsewhere: gradients of the unused branch stay finite."""
    return jnp.where(condition, value, stand_in)


def root(square: Array) -> Array:
    """The square root, with gradient 0 at 0."""
    live = square > 0
    return jnp.where(live, jnp.sqrt(guarded(live, square)), 0.0)


def one_sided(ratio: Array) -> tuple[Array, Array]:
    """`ratio` made safe for the formulas below 1 and above 1: (ratio or 1/2, ratio or 2)."""
    return guarded(ratio < 1, ratio, 0.5), guarded(ratio > 1, ratio, 2.0)


def times(factor: Array, gain: Array) -> Array:
    """`factor * gain` with 0 * inf = 0: a pole that nothing feeds has no effect."""
    live = factor > 0
    return jnp.where(live, factor * guarded(live, gain, 0.0), 0.0 * factor)


def noise_gain(sample_ratio: Array) -> Array:
    """Expected |X^+ eps|^2 for unit noise as d -> inf: g/(1-g) below 1, 1/(g-1) above, inf at g = 1."""
    below, above = one_sided(sample_ratio)
    finite = jnp.where(sample_ratio < 1, below / (1 - below), 1 / (above - 1))
    return jnp.where(sample_ratio == 1, jnp.inf, finite)


def noise_gain_exact(num_samples: Array, dim: Array) -> Array:
    """Expected |X^+ eps|^2 for unit noise, exact: n/(d-n-1) for n < d-1, d/(n-d-1) for n > d+1, inf between."""
    slack = 8 * jnp.finfo(dim.dtype).eps * dim
    below, above = num_samples < dim - 1 - slack, num_samples > dim + 1 + slack
    low = jnp.where(below, num_samples / guarded(below, dim - num_samples - 1), 0.0)
    high = jnp.where(above, dim / guarded(above, num_samples - dim - 1), 0.0)
    return jnp.where(below | above, low + high, jnp.inf)


def gain(sample_ratio: Array, dim: Array | None) -> Array:
    """`noise_gain` without, `noise_gain_exact` with a dimension."""
    return noise_gain(sample_ratio) if dim is None else noise_gain_exact(sample_ratio * dim, dim)


def check_ratio(name: str, value: Numbers) -> None:
    """Refuse a ratio that leaves no sample."""
    _checks.check_positive(name, value, remedy=f"{name} is samples per input dimension: pass {name} > 0.")


def check_dim(dim: Numbers | None, least: int = 1) -> None:
    """Refuse a dimension below `least`: 1, or 2 where two tasks are at an angle."""
    if dim is not None:
        _checks.check_range("dim", dim, least, remedy=f"Pass a dimension of at least {least}, or None for the limit.")


def check_pair(overlap_angle: Numbers, noise_std: Numbers, target_norm: Numbers, source_norm: Numbers = 1.0) -> None:
    """Refuse an impossible pair of tasks."""
    _checks.check_angle("overlap_angle", overlap_angle)
    _checks.check_nonnegative("noise_std", noise_std)
    _checks.check_nonnegative("target_norm", target_norm)
    _checks.check_nonnegative("source_norm", source_norm)


def check_source(source_ratio: Numbers, source_noise_std: Numbers) -> None:
    """Refuse an impossible source set."""
    _checks.check_positive(
        "source_ratio",
        source_ratio,
        remedy="Pass source samples per input dimension > 0, or inf for a population.",
    )
    _checks.check_nonnegative("source_noise_std", source_noise_std)


def is_noisy(source_ratio: Numbers, source_noise_std: Numbers) -> bool:
    """Whether a source set may be finite and noisy; traced values may be."""
    ratio, noise = _checks.concrete(source_ratio), _checks.concrete(source_noise_std)
    return not ((noise is not None and np.all(noise == 0)) or (ratio is not None and np.all(np.isinf(ratio))))


def trained_depth(depth: Numbers, trained_layers: Numbers | None) -> Numbers:
    """The number of layers that train, the first among them: `depth` itself unless told otherwise."""
    _checks.check_range("depth", depth, 1.0, remedy="Pass at least one layer.")
    if trained_layers is None:
        return depth
    remedy = "Train the first layer and up to depth - 1 others; with it frozen, use linear transfer."
    _checks.check_range("trained_layers", trained_layers, 1.0, remedy=remedy)
    arrays = _checks.concrete(trained_layers), _checks.concrete(depth)
    if arrays[0] is not None and arrays[1] is not None:
        most = np.max(arrays[0] - arrays[1])
        _checks.require(most <= 0, f"trained_layers = {trained_layers} exceeds depth = {depth}: {remedy}")
    return trained_layers


def elementwise(function: Callable, *arrays: Array) -> Array:
    """`function` of scalars mapped over equally shaped arrays (vmap over the flattened entries)."""
    shape = arrays[0].shape
    return jax.vmap(function)(*(array.reshape(-1) for array in arrays)).reshape(shape)
