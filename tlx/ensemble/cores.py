"""The cores of a CPU: how many devices JAX sees there, and how many LAPACK may take; used through `tlx.ensemble`."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import jax
from threadpoolctl import ThreadpoolController

from tlx._checks import check_count


def cpu_cores() -> int:
    """How many cores this process may use: those that it is bound to, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cpu_cores(count: int) -> None:
    """Make JAX see `count` CPU devices, one per core to be used. Call it before anything else touches JAX.

    Raises:
        RuntimeError: JAX has already started with another number of devices.
    """
    check_count("count", count)
    with contextlib.suppress(RuntimeError):  # JAX has started: what counts is checked next
        jax.config.update("jax_num_cpu_devices", count)
    if jax.default_backend() == "cpu" and jax.local_device_count() != count:
        raise RuntimeError(
            f"JAX already runs with {jax.local_device_count()} CPU devices, so {count} cannot be made now: set "
            f"JAX_NUM_CPU_DEVICES={count} in the environment, or call use_cpu_cores before any other JAX function."
        )


@contextlib.contextmanager
def shared_out(devices: tuple[Any, ...]) -> Iterator[None]:
    """Within it, LAPACK (eigh and its like) takes for each CPU device no more cores than are that device's own.

    Two devices that both take all cores are twice to thirty times slower. LAPACK is SciPy's OpenBLAS: it reads the
    environment once, when it is loaded, which may be before (by any import of SciPy) or after this begins; so both are
    set. A value of OPENBLAS_NUM_THREADS that the user has set is kept.
    """
    if devices[0].platform != "cpu":
        yield
        return
    own = os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, cpu_cores() // len(devices))))
    with _loaded().limit(limits=int(own) if own.isdigit() else None, user_api="blas"):
        yield


@functools.cache
def _loaded() -> ThreadpoolController:
    """The libraries loaded at the first call, by when the environment is set for those that come later."""
    return ThreadpoolController()
