"""Strict numerics for every test: rank promotion and warnings are errors, caches do not pile up."""

import collections
import os
from pathlib import Path

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a core for each device, as tlx.ensemble has it
# Compiled programs are kept between tests, workers and the processes that tests start.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    """The modules with the most slow tests first, so that two workers end together."""
    slow = collections.Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True, scope="module")
def _clear_jax_caches():
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _restore_jax_settings():
    """A study sets precision for its process; a test must not set it for the next one."""
    before = jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_enable_x64", before[0])
    jax.config.update("jax_default_matmul_precision", before[1])


@pytest.fixture
def x64():
    """Double precision for one test; arrays made inside must not outlive it."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key(request):
    """A key of its own for every test, from the test's name."""
    import zlib

    return jax.random.key(zlib.crc32(request.node.nodeid.encode()) & 0x7FFFFFFF)
