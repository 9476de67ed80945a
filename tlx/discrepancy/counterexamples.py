"""Pairs of linear tasks that no distance between their laws can sort: close ones that hurt, far ones that help."""

from typing import NamedTuple

import numpy as np

from tlx._checks import check_choice, check_count, check_positive, require
from tlx.glossary import Protocol

PROTOCOLS = (Protocol.LINEAR_TRANSFER, Protocol.FINE_TUNING)


class Counterexample(NamedTuple):
    """A source/target pair on isotropic inputs.

    Attributes:
        overlap_angle, target_norm, noise_std: of the pair; the source vector has norm 1, both tasks the same noise.
        dim, num_samples: of the target sample at which the sign is as promised.
        divergence: KL(p_source || p_target), in nats.
        protocol: the way of transfer whose sign is meant.
    """

    overlap_angle: float
    target_norm: float
    noise_std: float
    dim: int
    num_samples: int
    divergence: float
    protocol: str


def close_but_negative(epsilon: float, *, protocol: str = "fine_tuning", dim: int = 100) -> Counterexample:
    """A pair with KL(p_source || p_target) < epsilon for which transfer hurts.

    Fine-tuning: noise. With sigma² = 2 (1 - cos 1)/epsilon the laws are as close as one likes, while what the noise
    adds to the interpolator is passed on to the part of the weights that the data do not see (c > 2 cos theta).
    Linear transfer: samples. The probe keeps its floor sin² theta for ever; scratch falls below it once
    n/d > 1 + sigma²/sin² theta, that is after about d/(2 epsilon) samples more.

    Args:
        epsilon: > 0.
        protocol: "fine_tuning" or "linear_transfer".
        dim: d >= 20.

    Source: v2 Appendix A; the boundaries of Theorems 3.7 and 3.9 (exact endpoint).
    """
    check_positive("epsilon", epsilon)
    check_choice("protocol", protocol, PROTOCOLS)
    _check_dim(dim)
    if protocol == "fine_tuning":
        angle = 1.2  # beyond 60 degrees: c >= 1 is enough, and noise only makes c larger
        noise = max(1.0, np.sqrt(2 * (1 - np.cos(angle)) / epsilon))
        count = dim // 2
    else:
        noise = 1.0
        angle = float(np.arccos(1 - min(0.9 * epsilon, 0.5)))
        count = int(np.ceil(dim * (1 + 1.5 * noise**2 / np.sin(angle) ** 2))) + 2
    divergence = (1 - np.cos(angle)) / noise**2
    return Counterexample(angle, 1.0, float(noise), dim, count, float(divergence), protocol)


def far_but_positive(delta: float, *, protocol: str = "linear_transfer", dim: int = 100) -> Counterexample:
    """A pair with KL(p_source || p_target) > delta for which transfer helps: beta_t = r beta_s, r large.

    Both tasks have the same feature, so the probe is right at once, T = r² (1 - n/d) + ..., however far apart the
    labels are; KL = (r - 1)²/(2 sigma²). A bounded distance cannot follow: total variation stays below 1, Dudley
    below 2.

    Args:
        delta: > 0.
        protocol: "linear_transfer" or "fine_tuning".
        dim: d >= 20.

    Source: v2 Appendix A.
    """
    check_positive("delta", delta)
    check_choice("protocol", protocol, PROTOCOLS)
    _check_dim(dim)
    noise = 0.2
    norm = 1 + 1.1 * noise * np.sqrt(2 * delta)
    return Counterexample(0.0, float(norm), noise, dim, dim // 2, float((norm - 1) ** 2 / (2 * noise**2)), protocol)


def _check_dim(dim: int) -> None:
    check_count("dim", dim)
    require(dim >= 20, f"dim = {dim} is too small for the sign to be certain; use at least 20.")
