"""How JAX is started: precision, devices and threads, before the first array is made."""

import os

import jax

from experiments.running import console
from experiments.running.cache import use_compilation_cache
from experiments.running.config import CacheConfig, Precision, StudyConfig
from experiments.running.study import UserError
from tlx import ensemble


def start_jax(config: StudyConfig) -> None:
    """Set precision, devices, and where compiled programs are kept."""
    # One LAPACK thread a device: other jobs may share the machine, and threads that wait for each other's cores cost a
    # factor of ten to fifty. `tlx.ensemble` sees to it where SciPy was loaded before.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    jax.config.update("jax_enable_x64", config.precision is Precision.float64)
    jax.config.update("jax_default_matmul_precision", "highest")
    _keep_programs(config.cache)
    wanted = getattr(getattr(config, "ensemble", None), "devices", None)
    cores = ensemble.cpu_cores()
    if wanted is not None and wanted < 1:
        raise UserError(f"ensemble.devices = {wanted} must be at least 1, or null for all there are.")
    if jax.config.jax_num_cpu_devices in (-1, 0, None) and "JAX_NUM_CPU_DEVICES" not in os.environ:
        ensemble.use_cpu_cores(min(wanted or cores, cores))
    if wanted is not None and wanted > jax.device_count():
        raise UserError(
            f"ensemble.devices = {wanted}, but JAX sees {jax.device_count()} device(s) here; use null for all of them "
            f"(JAX_NUM_CPU_DEVICES={wanted} in the environment emulates more on a CPU)."
        )


def _keep_programs(cache: CacheConfig) -> None:
    """Keep compiled programs between runs, unless that is turned off."""
    if not 0 < cache.max_gb < 1e6:
        raise UserError(f"cache.max_gb = {cache.max_gb} must be above 0; cache.enabled=false keeps nothing.")
    if cache.enabled:
        kept = {"local": cache.local, "max_bytes": int(cache.max_gb * 1e9)}
        use_compilation_cache(cache.directory, **kept, say=console.say)
