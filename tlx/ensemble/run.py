"""Thousands of lanes from a function of one: how they are run, call by call.

How many lanes step together is a property of the device, never of the science. A CPU core is fastest with one
lane at a time (its weights stay in cache, and a lane that has converged really stops), so lanes are spread over
the CPU devices and run one after another on each; an accelerator wants as many side by side as memory holds. The
same lane gives the same result, to rounding, alone or in any batch, chunk size or device count.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jaxtyping import PyTree

from tlx._checks import require
from tlx.ensemble import watch as _watch
from tlx.ensemble.compiled import compile_lanes, fitted, peak_bytes
from tlx.ensemble.cores import shared_out
from tlx.ensemble.layout import Layout, make_layout
from tlx.ensemble.program import LANES, mesh, nested, program
from tlx.ensemble.watch import Rehearsed

CALL_SECONDS = 0.2  # what a call should take where that is free: the resolution of progress and of interrupts
CALL_BYTES = 2**24  # of lanes, copied at every call


def run(
    function: Callable[[PyTree, PyTree], PyTree],
    lanes: PyTree,
    shared: PyTree = None,
    *,
    layout: Layout | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PyTree:
    """`function(shared, lane)` for every lane, as host arrays with the lane axis first.

    Args:
        function: written for one lane; pure, the same object at every call (its compilation is kept).
        lanes: pytree of arrays with the lane axis first, all of one length.
        shared: pytree that every lane sees whole (settings, keys).
        layout: from `make_layout`; None makes one.
        progress: called with (lanes done, lanes in all) after every compiled call. What it raises ends the run.

    Raises:
        ValueError: one lane alone takes more than `layout.memory`.
    """
    lanes = jax.tree.map(_host_rows, lanes)
    lengths = {leaf.shape[0] if leaf.ndim else None for leaf in jax.tree.leaves(lanes)}
    require(
        len(lengths) == 1 and None not in lengths, f"lanes have leading axes {lengths}; they must share one length."
    )
    (total,) = lengths
    layout, call_program = fitted(function, _roomy(layout or make_layout(total), lanes), shared, lanes)
    structure = jax.eval_shape(program(function, layout), shared, *_chunk(lanes, layout, 0, 1))
    if (rehearsed := _watch.rehearsed()) is not None:
        rehearsed.append(_rehearse(function, layout, shared, lanes))
        return jax.tree.map(lambda leaf: np.zeros((total, *leaf.shape[1:]), leaf.dtype), structure)
    keeper, call = _watch.kept()
    before = None if keeper is None else _watch.fitting(keeper.resume(call), jax.tree.leaves(structure))
    pieces = [] if before is None else [before]
    begin = min(len(before[0]), total) if before else 0
    groups = 1 if layout.paced else layout.per_call // layout.together
    while begin < total:
        start = time.perf_counter()
        with shared_out(layout.devices):
            result = jax.block_until_ready(call_program(shared, *_chunk(lanes, layout, begin, groups)))
        seconds = time.perf_counter() - start
        pieces.append([_own_rows(_on_host(leaf), layout, groups) for leaf in jax.tree.leaves(result)])
        begin = min(begin + groups * layout.together * len(layout.devices), total)
        if keeper is not None:
            keeper.keep(call, pieces)
        if progress is not None:
            progress(begin, total)
        groups = _next_groups(layout, groups, seconds, total - begin)
    leaves = [np.concatenate(parts)[:total] for parts in zip(*pieces, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(structure), leaves)


def _host_rows(leaf: Any) -> Any:
    """A leaf of the lanes on the host, where a call's rows are picked without compiling anything; keys stay."""
    leaf = jnp.asarray(leaf)
    return leaf if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended) else np.asarray(leaf)


def _roomy(layout: Layout, lanes: PyTree) -> Layout:
    """A paced layout whose calls hold at most CALL_BYTES of lanes; a function of their shapes, not of their number."""
    if not layout.paced:
        return layout
    bytes_per_lane = sum(leaf[:1].size * leaf.dtype.itemsize for leaf in jax.tree.leaves(lanes))
    groups = max(1, min(layout.per_call, CALL_BYTES // max(bytes_per_lane, 1)) // layout.together)
    return layout._replace(per_call=groups * layout.together)


def _next_groups(layout: Layout, groups: int, seconds: float, left: int) -> int:
    """Groups of lanes for each device in the next call, from how long the last one took."""
    if not layout.paced:
        return groups
    wished = int(groups * min(8.0, CALL_SECONDS / max(seconds, 1e-6)))
    return max(1, min(wished, layout.per_call // layout.together, -(-left // (layout.together * len(layout.devices)))))


def _chunk(lanes: PyTree, layout: Layout, begin: int, groups: int) -> tuple[PyTree, np.integer]:
    """The lanes of one compiled call, over the mesh, and how many groups of them each device is to run.

    Each device's rows are filled up with copies of lanes that it will not reach: one shape is one program.
    """
    total, own = jax.tree.leaves(lanes)[0].shape[0], groups * layout.together
    rows = np.arange(len(layout.devices))[:, None] * own + np.minimum(np.arange(layout.per_call), own - 1)[None, :]
    index = np.minimum(begin + rows.ravel(), total - 1)
    sharding = NamedSharding(mesh(layout), LANES)

    def placed(leaf):
        rows = leaf[index]
        if sharding.is_fully_addressable:
            return jax.device_put(rows, sharding)
        return jax.make_array_from_callback(rows.shape, sharding, lambda own: rows[own])

    return jax.tree.map(placed, lanes), np.int32(groups)


def _own_rows(leaf: np.ndarray, layout: Layout, groups: int) -> np.ndarray:
    """The rows of a result that were asked for, in the order of the lanes."""
    by_device = leaf.reshape(len(layout.devices), layout.per_call, *leaf.shape[1:])
    return by_device[:, : groups * layout.together].reshape(
        groups * layout.together * len(layout.devices), *leaf.shape[1:]
    )


def _on_host(leaf: jax.Array) -> np.ndarray:
    """A result as a whole host array, on every host."""
    if leaf.is_fully_addressable:
        return np.asarray(leaf)
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))


def _rehearse(function: Callable, layout: Layout, shared: PyTree, lanes: PyTree) -> Rehearsed:
    needed = peak_bytes(compile_lanes(function, lanes, shared, layout=layout))
    return Rehearsed(jax.tree.leaves(lanes)[0].shape[0], layout, needed)


def run_nested(
    prepare: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    function: Callable[[PyTree, PyTree, PyTree], PyTree],
    outer: PyTree,
    inner: PyTree,
    shared: PyTree = None,
    *,
    side_by_side: bool = True,
    layout: Layout | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PyTree, PyTree]:
    """All pairs of outer and inner lanes, the expensive part once per outer lane.

    `prepared, report = prepare(shared, outer_lane)` then `function(shared, prepared, inner_lane)`.

    Args:
        prepare, function, outer, inner, shared: see above.
        side_by_side: inner lanes step together on an accelerator. False: one after another there too, for inner lanes
            that choose between programs, such as a sample size: lanes side by side would run all of them.
        layout, progress: as in `run`, of the outer lanes.

    Returns:
        (reports with the outer axis first, results with axes (outer, inner)).
    """
    inner = jax.tree.map(jnp.asarray, inner)
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(inner)}
    require(len(lengths) == 1 and 0 not in lengths, f"inner lanes have lengths {lengths}; they must share one, not 0.")
    length = jax.tree.leaves(outer)[0].shape[0]
    layout = layout or make_layout(length)
    both = nested(prepare, function, side_by_side and layout.devices[0].platform != "cpu")
    return run(both, outer, (shared, inner), layout=layout, progress=progress)
