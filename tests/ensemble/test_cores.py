"""LAPACK takes no more cores than each CPU device has, whenever SciPy was loaded; afterwards it has what it had."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg  # noqa: F401  loads the library whose threads are counted
from threadpoolctl import threadpool_info, threadpool_limits

from tlx import ensemble

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def threads(_=None):
    return np.int32(max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"))


def seen(shared, lane):
    return jax.pure_callback(threads, jax.ShapeDtypeStruct((), jnp.int32), lane)


@pytest.mark.parametrize("asked", [None, "3", "no number"])
def test_lapack_takes_its_devices_cores_while_lanes_run_and_no_longer(monkeypatch, asked):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", asked)
    layout = ensemble.make_layout(4)
    expected = {None: max(1, CORES // len(layout.devices)), "3": 3, "no number": CORES + 3}[asked]
    with threadpool_limits(CORES + 3, user_api="blas"):
        inside = ensemble.run(seen, np.arange(4), layout=layout)
        after = threads()
    assert inside.tolist() == [expected] * 4
    assert after == CORES + 3
