"""A program of lanes, lowered or compiled from shapes alone: for the devices at hand or for those of a named topology.

Nothing runs and no device need be reachable, so that what a TPU or a GPU will be asked to do can be read, measured
in bytes and tested on a machine that has neither.
"""

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import NamedSharding
from jaxtyping import PyTree

from tlx._checks import require
from tlx.ensemble.layout import Layout
from tlx.ensemble.program import LANES, compiler_options, mesh, program

# What libtpu asks a host about, answered for a host that has no TPU.
_NO_HOST = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def devices_of(topology: str, target: str | None = None) -> tuple[Any, ...]:
    """The devices of a topology that need not exist here: things to compile for, not to run on.

    Args:
        topology: a TPU slice as libtpu names it ("v5e:2x2", "v5p:2x2x1", "v4:2x2x1", "v6e:2x2"), or "cuda:COUNT".
        target: for CUDA, XLA's description of the card (text of a GpuTargetConfigProto).

    Raises:
        ValueError: the topology is unknown, or the plugin that compiles for it is not installed.
    """
    kind, _, shape = topology.partition(":")
    options: dict[str, Any] = {"platform": "tpu", "topology_name": topology}
    remedy = "install libtpu (the extra tpu) and name a slice such as v5e:2x2, v5p:2x2x1, v4:2x2x1 or v6e:2x2"
    if kind == "cuda":
        options = {"platform": "cuda", "topology": f"1x1x{shape or 1}", "target_config": target}
        remedy = "install JAX's plugin for CUDA, of jaxlib's version (the extra cuda), and describe the card"
    else:
        for name, value in _NO_HOST.items():
            os.environ.setdefault(name, value)
    try:
        return tuple(topologies.get_topology_desc(**options).devices)
    except Exception as error:  # every plugin raises its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"topology {topology!r} cannot be compiled for here ({reason}): {remedy}.") from None


def lower_lanes(
    function: Callable[[PyTree, PyTree], PyTree],
    lanes: PyTree,
    shared: PyTree = None,
    *,
    layout: Layout,
    platform: str | None = None,
) -> jax.stages.Lowered:
    """The program of one call of `ensemble.run`, as StableHLO.

    Args:
        function, lanes, shared: as in `run`; of the lanes only shapes and types count, whatever their number.
        layout: the devices, and how many lanes step together on each.
        platform: lower for "cuda" or "tpu" with neither device nor compiler of that kind; None: for the devices.
    """
    rows = layout.lanes_per_call
    split = NamedSharding(mesh(layout), LANES)
    arguments = (shared, lanes, jnp.int32(1))
    leaves, structure = jax.tree.flatten(arguments)
    first = jax.tree.structure(shared).num_leaves

    def shaped(index: int, leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        if first <= index < len(leaves) - 1:
            return jax.ShapeDtypeStruct((rows, *leaf.shape[1:]), leaf.dtype, sharding=split)
        return leaf

    shapes = [shaped(index, leaf) for index, leaf in enumerate(jax.eval_shape(lambda leaves: leaves, leaves))]
    whole = program(function, layout).__wrapped__
    # of leaves: containers that check their fields take no abstract ones
    flat = jax.jit(
        lambda leaves: whole(*jax.tree.unflatten(structure, leaves)), compiler_options=compiler_options(layout)
    )
    traced = flat.trace(shapes)
    return traced.lower() if platform is None else traced.lower(lowering_platforms=(platform,))


def compile_lanes(
    function: Callable[[PyTree, PyTree], PyTree], lanes: PyTree, shared: PyTree = None, *, layout: Layout
) -> jax.stages.Compiled:
    """The same program, compiled for the devices of the layout: a function of the list of its leaves."""
    with warnings.catch_warnings():
        # what JAX keeps on disk cannot be handed to a device that is not there: it says so, and compiles
        warnings.filterwarnings("ignore", "Error reading persistent compilation cache")
        return lower_lanes(function, lanes, shared, layout=layout).compile()


def peak_bytes(program: jax.stages.Compiled) -> int:
    """The most memory that a compiled call holds at once on one device, arguments and results included.

    On CPUs, where XLA's peak leaves the temporaries out, it is the sum of arguments, results and temporaries.
    """
    found = program.memory_analysis()
    parts = found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes
    (sharding, *_) = jax.tree.leaves(program.input_shardings)
    on_cpu = next(iter(sharding.device_set)).platform == "cpu"
    peak = 0 if on_cpu else getattr(found, "peak_memory_in_bytes", 0)
    return int(peak or sum(parts))


_fits: dict[Any, tuple[Layout, Callable]] = {}  # programs that obey their memory, by function, layout and shapes


def fitted(function: Callable, layout: Layout, shared: PyTree, lanes: PyTree) -> tuple[Layout, Callable]:
    """The layout with as many lanes together as its memory holds (judged by compiling), and its program."""
    if layout.memory is None and layout.devices[0].platform == "cpu":
        return layout, program(function, layout)
    leaves, structure = jax.tree.flatten((shared, jax.tree.map(lambda leaf: leaf[:1], lanes)))
    key = (function, layout, structure, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves))
    if key not in _fits:
        _fits[key] = _fit(function, layout, shared, lanes)
    return _fits[key]


def _call(compiled_call: Callable, shared: PyTree, chunk: PyTree, groups: Any) -> PyTree:
    return compiled_call(jax.tree.leaves((shared, chunk, groups)))


def _fit(function: Callable, layout: Layout, shared: PyTree, lanes: PyTree) -> tuple[Layout, Callable]:
    while True:
        found, needed = _attempt(function, layout, shared, lanes)
        allowed = layout.memory
        if found is not None and (allowed is None or needed <= allowed):
            return layout, functools.partial(_call, found)
        takes = "more than a device has" if found is None else f"{needed / 1e9:.3g} GB on a device"
        limit = "" if allowed is None else f", more than the {allowed / 1e9:.3g} GB allowed"
        require(
            layout.per_call > 1,
            f"one lane takes {takes}{limit}: raise the memory limit (ensemble.memory_gb), or make the lane smaller.",
        )
        layout = _smaller(layout, None if found is None or allowed is None else allowed / needed)


def _attempt(function: Callable, layout: Layout, shared: PyTree, lanes: PyTree) -> tuple[Any, int]:
    """The compiled call and its bytes; (None, 0) if the compiler itself found no room for it."""
    try:
        found = compile_lanes(function, lanes, shared, layout=layout)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None, 0
    return found, peak_bytes(found)


def _smaller(layout: Layout, share: float | None) -> Layout:
    """The layout with fewer lanes a call: the given share of them, or half."""
    if layout.paced:  # room for many lanes in a call is a convenience
        return layout._replace(per_call=layout.together, paced=False)
    fewer = max(1, min(int(layout.per_call * (0.5 if share is None else share)), layout.per_call - 1))
    together = min(layout.together, fewer)
    return layout._replace(together=together, per_call=fewer if fewer % together == 0 else together)
