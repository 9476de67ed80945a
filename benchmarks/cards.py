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


def cards_of(target: str) -> tuple[Card, ...]:
    """The cards that a target's bounds are given for; none for a CPU, whose limits `benchmarks.limits` measures."""
    kind = target.split(":")[0]
    groups = {"cpu": (), "cuda": ("h100", "a100"), "tpu": ("v4", "v5e", "v5p", "v6e")}
    return tuple(CARDS[name] for name in groups.get(kind, (kind,)) if name in CARDS)


def seconds_per_step(card: Card, moved: float, operations: float) -> float:
    """The roofline: no lane's step takes less than its bytes at full bandwidth, or its operations at full rate."""
    return max(moved / card.bandwidth, operations / card.flops)
