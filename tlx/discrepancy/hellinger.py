"""Squared Hellinger distance between two tasks' joint laws."""

from jaxtyping import Array, Float

from tlx.discrepancy.laws import InputNodes, Law, check_laws
from tlx.discrepancy.renyi import power_mean


def squared_hellinger(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """H² = 1 - integral sqrt(p_source p_target), symmetric, between 0 and its ceiling 1.

    Equal noise: 1 - E exp(-t²/(8 sigma²)); two linear laws: 1 - (1 + s²/(4 sigma²))^{-1/2}, s = |beta_s - beta_t|.

    Args:
        source: noise_std > 0.
        target: noise_std > 0; it may differ from the source's.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        Exact for two linear laws, unbiased with drawn inputs. H² <= total variation <= H sqrt(2 - H²).
    """
    check_laws(source, target, noisy=True)
    return 1.0 - power_mean(0.5, source, target, inputs)
