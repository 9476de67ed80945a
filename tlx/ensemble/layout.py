"""How lanes are laid out over the devices at hand; used through `tlx.ensemble`."""

from typing import Any, NamedTuple

import jax

from tlx._checks import check_count, require

LANES_PER_CPU_CALL = 64  # most lanes a CPU device runs in one compiled call, by default
LANES_PER_ACCELERATOR_CALL = 4096  # upper bound there; memory usually binds first
# Of what a device says it has. On a GPU that is JAX's pool, by default three quarters of the card already.
MEMORY_SHARE = {"gpu": 0.95, "tpu": 0.9}


class Layout(NamedTuple):
    """How lanes are laid out.

    Attributes:
        devices: the devices, each of which runs its own lanes (those of every host in a multi-host program).
        together: lanes stepped together on one device (vmap); 1 runs them one after another.
        per_call: lanes each device runs in one compiled call.
        memory: bytes that a compiled call may take on one device; `run` lowers `together` until it does. None: any.
        paced: begin with the fewest lanes a call and go up to per_call as long as a call is shorter than CALL_SECONDS.
    """

    devices: tuple[Any, ...]
    together: int
    per_call: int
    memory: int | None = None
    paced: bool = False

    @property
    def lanes_per_call(self) -> int:
        """Most lanes in one compiled call, over all devices."""
        return self.per_call * len(self.devices)


def make_layout(
    num_lanes: int,
    *,
    devices: tuple[Any, ...] | None = None,
    together: int | None = None,
    per_call: int | None = None,
    memory: int | None = None,
) -> Layout:
    """The layout for `num_lanes` lanes on these devices (default: all there are); see `Layout` for the rest.

    `memory` defaults to most of what an accelerator says it has (`MEMORY_SHARE`), and to no limit where it says
    nothing: on a CPU, and on devices that cannot be reached (`tlx.ensemble.devices_of`).
    """
    check_count("number of lanes", num_lanes, remedy="The grid is empty.")
    devices = tuple(jax.devices() if devices is None else devices)
    require(len(devices) > 0, "devices = () leaves nothing to run on; pass None for all local devices.")
    share = -(-num_lanes // len(devices))
    on_cpu = devices[0].platform == "cpu"
    # hosts measure different seconds, and would disagree on the next call
    paced = on_cpu and together is None and per_call is None and jax.process_count() == 1
    if together is None:
        together = 1 if on_cpu else min(share, per_call or LANES_PER_ACCELERATOR_CALL)
    check_count("lanes together", together)
    if per_call is None:
        per_call = LANES_PER_CPU_CALL if paced else together
        if on_cpu and together == 1 and not paced:  # several processes: all take the same calls, never a lane a call
            per_call = min(share, LANES_PER_CPU_CALL)
    check_count("lanes per call", per_call)
    require(
        per_call % together == 0,
        f"lanes per call = {per_call} is not a multiple of lanes together = {together}; make it one.",
    )
    if memory is None and not on_cpu:
        memory = _memory_of(devices[0])
    require(memory is None or memory > 0, f"memory = {memory} bytes holds no lane; give more, or None.")
    return Layout(devices, together, per_call, memory, paced)


def _memory_of(device: Any) -> int | None:
    """Bytes that lanes may take on an accelerator; None where the device cannot be asked."""
    try:
        limit = (device.memory_stats() or {}).get("bytes_limit")
    except (jax.errors.JaxRuntimeError, NotImplementedError):  # a device to compile for, not to run on
        return None
    return None if limit is None else int(MEMORY_SHARE.get(device.platform, 0.75) * limit)
