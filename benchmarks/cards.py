"""Published figures of accelerators, for bounds: a roofline is what no program can beat, never what one reaches."""

from typing import NamedTuple


class Card(NamedTuple):
    """One accelerator: bytes/s of its memory, float32 operations/s of its products at precision "highest", bytes held.

    TPUs multiply in bfloat16; a float32 product at full precision takes six passes, so a sixth of the published
    rate counts.
    """

    name: str
    bandwidth: float
    flops: float
    memory: float


CARDS = {
    "h100": Card("NVIDIA H100 SXM", 3.35e12, 67e12, 80e9),
    "a100": Card("NVIDIA A100 80 GB SXM", 2.04e12, 19.5e12, 80e9),
    "v4": Card("TPU v4", 1.23e12, 275e12 / 6, 32e9),
    "v5e": Card("TPU v5e", 0.82e12, 197e12 / 6, 16e9),
    "v5p": Card("TPU v5p", 2.77e12, 459e12 / 6, 95e9),
    "v6e": Card("TPU v6e", 1.64e12, 918e12 / 6, 32e9),
}


class Multiprocessors(NamedTuple):
    """What a compiler asks about a GPU beside its memory.

    Figures of NVIDIA's whitepapers on the A100 and H100 and of the table of compute capabilities in the CUDA C++
    programming guide: count, float32 units of each, capability, boost clock, level-2 cache, and shared memory of one
    multiprocessor and of one block that asks for more than 48 kB, in bytes.
    """

    count: int
    units: int
    capability: int
    clock_ghz: float
    cache: int
    shared: int
    shared_of_block: int


MULTIPROCESSORS = {
    "h100": Multiprocessors(132, 128, 9, 1.98, 50 * 2**20, 228 * 2**10, 227 * 2**10),
    "a100": Multiprocessors(108, 64, 8, 1.41, 40 * 2**20, 164 * 2**10, 163 * 2**10),
}


def described(gpu: str) -> str:
    """A GPU as XLA's compiler reads it (text of a GpuTargetConfigProto), from published figures."""
    card, parts = CARDS[gpu], MULTIPROCESSORS[gpu]
    limits = {
        "threads_per_block_limit": 1024, "threads_per_warp": 32, "threads_per_core_limit": 2048,
        "shared_memory_per_block": 48 * 2**10, "shared_memory_per_core": parts.shared,
        "shared_memory_per_block_optin": parts.shared_of_block, "registers_per_core_limit": 2**16,
        "registers_per_block_limit": 2**16, "core_count": parts.count, "fpus_per_core": parts.units,
        "block_dim_limit_x": 2**31 - 1, "block_dim_limit_y": 2**16 - 1, "block_dim_limit_z": 2**16 - 1,
        "thread_dim_limit_x": 1024, "thread_dim_limit_y": 1024, "thread_dim_limit_z": 64,
        "memory_bandwidth": int(card.bandwidth), "device_memory_size": int(card.memory), "l2_cache_size": parts.cache,
        "clock_rate_ghz": parts.clock_ghz, "cuda_compute_capability": f"{{ major: {parts.capability} }}",
        "name": f'"{card.name}"', "device_vendor": '"NVIDIA Corporation"',
        "platform_version": f'"Compute Capability {parts.capability}.0"',
        "driver_version": '"12.9.0"', "runtime_version": '"12.9.0"', "compile_time_toolkit_version": '"12.9.0"',
        "dnn_version": '"9.10.0"',
    }  # fmt: skip
    inside = "\n".join(f"  {name}{'' if str(value).startswith('{') else ':'} {value}" for name, value in limits.items())
    return (
        f'gpu_device_info {{\n{inside}\n}}\nplatform_name: "CUDA"\n'
        f'dnn_version_info {{ major: 9 minor: 10 }}\ndevice_description_str: "{card.name}"\n'
    )


def cards_of(target: str) -> tuple[Card, ...]:
    """The cards that a target's bounds are given for; none for a CPU, whose limits `benchmarks.limits` measures."""
    kind = target.split(":")[0]
    groups = {"cpu": (), "cuda": ("h100", "a100"), "tpu": ("v4", "v5e", "v5p", "v6e")}
    return tuple(CARDS[name] for name in groups.get(kind, (kind,)) if name in CARDS)


def seconds_per_step(card: Card, moved: float, operations: float) -> float:
    """The roofline: no lane's step takes less than its bytes at full bandwidth, or its operations at full rate."""
    return max(moved / card.bandwidth, operations / card.flops)
