"""Axes of a study, and how its instances are cut into units and laid out on this machine's devices."""

from typing import Any

import jax
import numpy as np

from experiments.running.config import EnsembleConfig
from experiments.running.study import Place, UserError
from tlx import ensemble


def axis(name: str, value: Any, top: float, low: float = 0.0) -> np.ndarray:
    """A grid axis: a list as it is, or an int for that many even steps in (low, top]."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple | float):
        raise UserError(f"{name} = {value!r} must be a list of numbers or an int (that many even steps up to {top:g}).")
    if isinstance(value, int):
        if value < 1:
            raise UserError(f"{name} = {value} makes an empty grid; use an int of at least 1, or a list of numbers.")
        return low + (top - low) * np.arange(1, value + 1) / value
    try:
        values = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        raise UserError(f"{name} = {value!r} holds something that is not a number.") from None
    if values.size == 0:
        raise UserError(f"{name} = [] makes an empty grid; give at least one number, or an int.")
    if not np.all(np.isfinite(values)) or len(set(values.tolist())) != values.size:
        raise UserError(f"{name} = {value!r} must hold distinct finite numbers.")
    return np.sort(values)


def instances(config: EnsembleConfig) -> np.ndarray:
    """The instance axis."""
    if config.num_instances < 1:
        raise UserError(f"ensemble.num_instances = {config.num_instances} averages nothing; use at least 1.")
    return np.arange(config.num_instances)


def instance_blocks(config: EnsembleConfig, default: int) -> list[Place]:
    """The instance axis in blocks of `instances_per_unit`, a unit each."""
    size = default if config.instances_per_unit is None else config.instances_per_unit
    if size < 1:
        raise UserError(f"ensemble.instances_per_unit = {size} must be at least 1.")
    total = config.num_instances
    return [{"instance": slice(begin, min(begin + size, total))} for begin in range(0, total, size)]


def split(axes: dict[str, np.ndarray], dim: str, blocks: list[Place]) -> list[Place]:
    """One unit for every value of an axis and block of instances, in the order of the axis."""
    return [{dim: slice(i, i + 1), **block} for i in range(len(axes[dim])) for block in blocks]


def part(axes: dict[str, np.ndarray], place: Place) -> dict[str, np.ndarray]:
    """The axis values that a unit covers."""
    return {name: values[place.get(name, slice(None))] for name, values in axes.items()}


def layout(config: EnsembleConfig, num_lanes: int) -> ensemble.Layout:
    """The layout of lanes on this machine's devices."""
    devices = jax.devices()  # those of every host, in a multi-host program
    if config.devices is not None and jax.process_count() == 1:
        if not 1 <= config.devices <= len(devices):
            raise UserError(f"ensemble.devices = {config.devices}, but JAX sees {len(devices)} device(s) here.")
        devices = devices[: config.devices]
    memory = None if config.memory_gb is None else int(config.memory_gb * 1e9)
    return ensemble.make_layout(num_lanes, devices=tuple(devices), together=config.lanes_together, memory=memory)


def edges(centres: np.ndarray) -> np.ndarray:
    """Cell edges halfway between centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    inner = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[centres[0] - (inner[0] - centres[0])], inner, [centres[-1] + (centres[-1] - inner[-1])]])
