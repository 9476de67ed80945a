"""One program over several hosts (opt-in, `distributed.enabled=true`): every process computes its lanes of each unit.

Process 0 alone decides, claims, stores and draws; the others follow, unit by unit, until they are dismissed.
"""

import os
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

DISMISSED = -1


def start(config: Any) -> None:
    """Join the other processes, before JAX makes its first array. Null fields come from the cluster's environment."""
    if not config.enabled or jax.distributed.is_initialized():
        return
    jax.distributed.initialize(
        coordinator_address=config.coordinator,
        num_processes=config.num_processes,
        process_id=config.process_id,
        local_device_ids=local_devices(config.local_device_ids),
    )


def local_devices(chosen: list[int] | None) -> list[int] | None:
    """This process's accelerators. Under SLURM, JAX would give each process one, whatever its job was given."""
    if chosen is not None:
        return list(chosen)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return list(range(len(visible.split(",")))) if visible else None


def follows() -> bool:
    """Whether this process takes its units from process 0."""
    return jax.process_count() > 1 and jax.process_index() != 0


def announce(unit: int) -> None:
    """Process 0: what all compute next, an index into the study's units or DISMISSED."""
    if jax.process_count() > 1:
        multihost_utils.broadcast_one_to_all(np.int32(unit))


def announced() -> int:
    """The others: what process 0 announces."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(DISMISSED)))
