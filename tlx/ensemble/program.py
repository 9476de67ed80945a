"""The program that a device runs: a function of one lane made into one of many; used through `tlx.ensemble`."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

from tlx.ensemble.layout import Layout

LANES = PartitionSpec("lanes")


def mesh(layout: Layout) -> jax.sharding.Mesh:
    """The devices in a row, along which lanes are split."""
    return jax.make_mesh((len(layout.devices),), ("lanes",), devices=layout.devices, axis_types=(AxisType.Auto,))


def program(function: Callable, layout: Layout) -> Callable:
    """`(shared, lanes, groups) -> results`: lanes split over the devices, on each run in groups of `together`.

    It does not depend on the memory limit or the pace: layouts that differ only in those share one compilation.
    """
    return mapped(function, layout._replace(memory=None, paced=False))


@functools.lru_cache(maxsize=64)
def mapped(function: Callable, layout: Layout) -> Callable:
    """As `program`, for layouts without limit and pace: one object for equal arguments."""
    together = layout.together

    def on_device(shared: Any, lanes: Any, groups: Any) -> Any:
        one = functools.partial(function, shared)
        if together == layout.per_call:  # one group a call: no loop, in which XLA would copy the program
            first = jax.tree.map(lambda leaf: leaf[0], lanes) if together == 1 else lanes
            return jax.tree.map(lambda leaf: leaf[None], one(first)) if together == 1 else jax.vmap(one)(lanes)
        several = jax.jit(one if together == 1 else jax.vmap(one), inline=True)  # traced once, for shapes and program

        def group_of(group: Any) -> Any:
            if together == 1:
                return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, group, keepdims=False), lanes)
            return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, group * together, together), lanes)

        def put(whole: Any, part: Any, group: Any) -> Any:
            part = part[None] if together == 1 else part
            return jax.lax.dynamic_update_slice_in_dim(whole, part, group * together, 0)

        def step(group: Any, results: Any) -> Any:
            return jax.tree.map(lambda whole, part: put(whole, part, group), results, several(group_of(group)))

        def empty(leaf: Any) -> Any:
            return jnp.zeros((layout.per_call, *(leaf.shape if together == 1 else leaf.shape[1:])), leaf.dtype)

        shapes = jax.eval_shape(several, jax.eval_shape(group_of, groups))
        # a traced count of groups: one program runs any number of lanes
        return jax.lax.fori_loop(0, groups, step, jax.tree.map(empty, shapes))

    whole = PartitionSpec()
    # without check_vma: it rejects ordinary training loops, whose state does not vary over the mesh at the start
    return jax.jit(
        jax.shard_map(on_device, mesh=mesh(layout), in_specs=(whole, LANES, whole), out_specs=LANES, check_vma=False),
        compiler_options=compiler_options(layout),
    )


def compiler_options(layout: Layout) -> dict[str, bool] | None:
    """For XLA: of several CPU devices, each keeps to its own core, where small products would be shared out."""
    several = len(layout.devices) > 1 and layout.devices[0].platform == "cpu"
    return {"xla_cpu_multi_thread_eigen": False} if several else None


@functools.lru_cache(maxsize=64)
def nested(prepare: Callable, function: Callable, side_by_side: bool) -> Callable:
    """One lane of `run_nested`: `prepare` once, then `function` for every inner lane.

    Args:
        prepare: (shared, outer lane) -> (prepared, report).
        function: (shared, prepared, inner lane) -> result.
        side_by_side: inner lanes together (accelerators) or one after another (CPUs).

    Returns:
        ((shared, inner lanes), outer lane) -> (report, results).
    """

    def both(arguments: Any, outer_lane: Any) -> Any:
        shared, inner = arguments
        prepared, report = prepare(shared, outer_lane)
        one = functools.partial(function, shared, prepared)
        return report, (jax.vmap(one)(inner) if side_by_side else jax.lax.map(one, inner))

    return both
