"""Thousands of lanes from a function of one: the only module that knows a batch exists.

How many lanes step together is a property of the device, never of the science. A CPU core is fastest with one
lane at a time (its weights stay in cache, and a lane that has converged really stops), so lanes are spread over
the CPU devices and run one after another on each; an accelerator wants as many side by side as memory holds. The
same lane gives the same result, to rounding, alone or in any batch, chunk size or device count.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from tlx._checks import require
from tlx.ensemble import watch as _watch
from tlx.ensemble import work as _work
from tlx.ensemble.layout import Plan as Plan
from tlx.ensemble.layout import make_plan as make_plan
from tlx.ensemble.layout import use_cpu_cores as use_cpu_cores
from tlx.ensemble.watch import Rehearsed
from tlx.ensemble.watch import journal as journal
from tlx.ensemble.watch import rehearsal as rehearsal

CALL_SECONDS = 0.2  # what a call should take where that is free: the resolution of progress and of interrupts
CALL_BYTES = 2**24  # of lanes, copied at every call


def run(
    function: Callable[[PyTree, PyTree], PyTree],
    lanes: PyTree,
    shared: PyTree = None,
    *,
    plan: Plan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PyTree:
    """`function(shared, lane)` for every lane, as host arrays with the lane axis first.

    Args:
        function: written for one lane; pure, the same object at every call (its compilation is kept).
        lanes: pytree of arrays with the lane axis first, all of one length.
        shared: pytree that every lane sees whole (settings, keys).
        plan: from `make_plan`; None makes one.
        progress: called with (lanes done, lanes in all) after every compiled call. What it raises ends the run.

    Raises:
        ValueError: one lane alone takes more than `plan.memory`.
    """
    lanes = jax.tree.map(_host_rows, lanes)
    lengths = {leaf.shape[0] if leaf.ndim else None for leaf in jax.tree.leaves(lanes)}
    require(
        len(lengths) == 1 and None not in lengths, f"lanes have leading axes {lengths}; they must share one length."
    )
    (total,) = lengths
    plan, program = _fitted(function, _roomy(plan or make_plan(total), lanes), shared, lanes)
    structure = jax.eval_shape(_program(function, plan), shared, *_chunk(lanes, plan, 0, 1))
    if (rehearsed := _watch.rehearsed()) is not None:
        rehearsed.append(_rehearse(function, plan, shared, lanes))
        return jax.tree.map(lambda leaf: np.zeros((total, *leaf.shape[1:]), leaf.dtype), structure)
    keeper, call = _watch.kept()
    before = None if keeper is None else keeper.resume(call)
    pieces = [] if before is None else [before]
    begin = min(len(before[0]), total) if before else 0
    groups = 1 if plan.paced else plan.per_call // plan.together
    while begin < total:
        start = time.perf_counter()
        result = jax.block_until_ready(program(shared, *_chunk(lanes, plan, begin, groups)))
        seconds = time.perf_counter() - start
        pieces.append([_own_rows(_on_host(leaf), plan, groups) for leaf in jax.tree.leaves(result)])
        begin = min(begin + groups * plan.together * len(plan.devices), total)
        if keeper is not None:
            keeper.keep(call, pieces)
        if progress is not None:
            progress(begin, total)
        groups = _next_groups(plan, groups, seconds, total - begin)
    leaves = [np.concatenate(parts)[:total] for parts in zip(*pieces, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(structure), leaves)


def _host_rows(leaf: Any) -> Any:
    """A leaf of the lanes on the host, where a call's rows are picked without compiling anything; keys stay."""
    leaf = jnp.asarray(leaf)
    return leaf if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended) else np.asarray(leaf)


def _roomy(plan: Plan, lanes: PyTree) -> Plan:
    """A paced plan whose calls hold at most CALL_BYTES of lanes; a function of their shapes, not of their number."""
    if not plan.paced:
        return plan
    bytes_per_lane = sum(leaf[:1].size * leaf.dtype.itemsize for leaf in jax.tree.leaves(lanes))
    groups = max(1, min(plan.per_call, CALL_BYTES // max(bytes_per_lane, 1)) // plan.together)
    return plan._replace(per_call=groups * plan.together)


def _next_groups(plan: Plan, groups: int, seconds: float, left: int) -> int:
    """Groups of lanes for each device in the next call, from how long the last one took."""
    if not plan.paced:
        return groups
    wished = int(groups * min(8.0, CALL_SECONDS / max(seconds, 1e-6)))
    return max(1, min(wished, plan.per_call // plan.together, -(-left // (plan.together * len(plan.devices)))))


def _chunk(lanes: PyTree, plan: Plan, begin: int, groups: int) -> tuple[PyTree, np.integer]:
    """The lanes of one compiled call, over the mesh, and how many groups of them each device is to run.

    Each device's rows are filled up with copies of lanes that it will not reach: one shape is one program.
    """
    total, own = jax.tree.leaves(lanes)[0].shape[0], groups * plan.together
    rows = np.arange(len(plan.devices))[:, None] * own + np.minimum(np.arange(plan.per_call), own - 1)[None, :]
    index = np.minimum(begin + rows.ravel(), total - 1)
    sharding = NamedSharding(_mesh(plan), PartitionSpec("lanes"))

    def placed(leaf):
        rows = leaf[index]
        if sharding.is_fully_addressable:
            return jax.device_put(rows, sharding)
        return jax.make_array_from_callback(rows.shape, sharding, lambda own: rows[own])

    return jax.tree.map(placed, lanes), np.int32(groups)


def _own_rows(leaf: np.ndarray, plan: Plan, groups: int) -> np.ndarray:
    """The rows of a result that were asked for, in the order of the lanes."""
    by_device = leaf.reshape(len(plan.devices), plan.per_call, *leaf.shape[1:])
    return by_device[:, : groups * plan.together].reshape(groups * plan.together * len(plan.devices), *leaf.shape[1:])


def _on_host(leaf: jax.Array) -> np.ndarray:
    """A result as a whole host array, on every host."""
    if leaf.is_fully_addressable:
        return np.asarray(leaf)
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))


def _compiled(program: Callable, plan: Plan, shared: PyTree, lanes: PyTree) -> Any:
    """One call compiled ahead of time, as a function of its leaves (checked containers take no abstract leaves)."""
    leaves, structure = jax.tree.flatten((shared, *_chunk(lanes, plan, 0, 1)))
    return jax.jit(lambda leaves: program(*jax.tree.unflatten(structure, leaves))).lower(leaves).compile()


def _bytes(compiled: Any) -> int:
    """What a compiled call takes on a device: arguments, results and what is needed in between."""
    found = compiled.memory_analysis()
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return sum(getattr(found, part, 0) for part in parts)


def _rehearse(function: Callable, plan: Plan, shared: PyTree, lanes: PyTree) -> Rehearsed:
    compiled = _compiled(_program(function, plan), plan, shared, lanes)
    work = _work.of(function, shared, jax.tree.map(lambda leaf: leaf[0], lanes))
    return Rehearsed(jax.tree.leaves(lanes)[0].shape[0], plan, _bytes(compiled), work)


_fits: dict[Any, tuple[Plan, Any]] = {}  # compiled programs that obey a memory limit, by function, plan and shapes


def _fitted(function: Callable, plan: Plan, shared: PyTree, lanes: PyTree) -> tuple[Plan, Callable]:
    """The plan with as many lanes together as its memory holds (judged by compiling), and its program."""
    if plan.memory is None:
        return plan, _program(function, plan)
    leaves, structure = jax.tree.flatten((shared, lanes))
    key = (function, plan, structure, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves))
    if key not in _fits:
        _fits[key] = _fit(function, plan, shared, lanes)
    return _fits[key]


def _call(compiled: Any, shared: PyTree, chunk: PyTree, groups: np.integer) -> PyTree:
    return compiled(jax.tree.leaves((shared, chunk, groups)))


def _fit(function: Callable, plan: Plan, shared: PyTree, lanes: PyTree) -> tuple[Plan, Callable]:
    while True:
        compiled = _compiled(_program(function, plan), plan, shared, lanes)
        needed = _bytes(compiled)
        if needed <= plan.memory:
            return plan, functools.partial(_call, compiled)
        require(
            plan.per_call > 1,
            f"one lane takes {needed / 1e9:.3g} GB on a device, more than the {plan.memory / 1e9:.3g} GB allowed: "
            "raise the memory limit (ensemble.memory_gb), or make the lane smaller.",
        )
        if plan.paced:  # room for many lanes in a call is a convenience
            plan = plan._replace(per_call=plan.together, paced=False)
            continue
        fewer = max(1, min(int(plan.per_call * plan.memory / needed), plan.per_call - 1))
        plan = plan._replace(together=min(plan.together, fewer), per_call=fewer)
        if plan.per_call % plan.together:
            plan = plan._replace(per_call=plan.together)


def run_nested(
    prepare: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    function: Callable[[PyTree, PyTree, PyTree], PyTree],
    outer: PyTree,
    inner: PyTree,
    shared: PyTree = None,
    *,
    plan: Plan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PyTree, PyTree]:
    """All pairs of outer and inner lanes, the expensive part once per outer lane.

    `prepared, report = prepare(shared, outer_lane)` then `function(shared, prepared, inner_lane)`.

    Returns:
        (reports with the outer axis first, results with axes (outer, inner)).
    """
    inner = jax.tree.map(jnp.asarray, inner)
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(inner)}
    require(len(lengths) == 1 and 0 not in lengths, f"inner lanes have lengths {lengths}; they must share one, not 0.")
    length = jax.tree.leaves(outer)[0].shape[0]
    plan = plan or make_plan(length)
    side_by_side = plan.devices[0].platform != "cpu"
    both = _nested(prepare, function, side_by_side)
    return run(both, outer, (shared, inner), plan=plan, progress=progress)


@functools.lru_cache(maxsize=64)
def _nested(prepare: Callable, function: Callable, side_by_side: bool) -> Callable:
    def both(arguments, outer_lane):
        shared, inner = arguments
        prepared, report = prepare(shared, outer_lane)
        one = functools.partial(function, shared, prepared)
        return report, (jax.vmap(one)(inner) if side_by_side else jax.lax.map(one, inner))

    return both


def _mesh(plan: Plan) -> jax.sharding.Mesh:
    return jax.make_mesh((len(plan.devices),), ("lanes",), devices=plan.devices, axis_types=(AxisType.Auto,))


def _program(function: Callable, plan: Plan) -> Callable:
    """The compiled form: lanes split over the mesh, and on each device run in groups of `together`."""
    return _mapped(function, plan._replace(memory=None, paced=False))


@functools.lru_cache(maxsize=64)
def _mapped(function: Callable, plan: Plan) -> Callable:
    together = plan.together

    def on_device(shared, lanes, groups):
        one = functools.partial(function, shared)
        several = jax.jit(one if together == 1 else jax.vmap(one), inline=True)  # traced once, for shapes and program

        def group_of(group):
            if together == 1:
                return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, group, keepdims=False), lanes)
            return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, group * together, together), lanes)

        def put(whole, part, group):
            part = part[None] if together == 1 else part
            return jax.lax.dynamic_update_slice_in_dim(whole, part, group * together, 0)

        def step(group, results):
            return jax.tree.map(lambda whole, part: put(whole, part, group), results, several(group_of(group)))

        def empty(leaf):
            return jnp.zeros((plan.per_call, *(leaf.shape if together == 1 else leaf.shape[1:])), leaf.dtype)

        shapes = jax.eval_shape(several, jax.eval_shape(group_of, groups))
        # a traced count of groups: one program runs any number of lanes
        return jax.lax.fori_loop(0, groups, step, jax.tree.map(empty, shapes))

    spec = PartitionSpec("lanes")
    sharded = jax.shard_map(
        on_device, mesh=_mesh(plan), in_specs=(PartitionSpec(), spec, PartitionSpec()), out_specs=spec, check_vma=False
    )
    return jax.jit(sharded)
