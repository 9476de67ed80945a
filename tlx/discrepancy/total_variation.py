"""Total variation distance between two tasks' joint laws."""

import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from tlx.discrepancy.laws import InputNodes, Law, check_laws, mean_over_difference


def total_variation(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """TV = sup_A |p_source(A) - p_target(A)|, symmetric, between 0 and its ceiling 1.

    Equal noise: E erf(|t|/(2 sqrt(2) sigma)), t = f_source(x) - f_target(x); two linear laws: (2/pi) arctan(s/(2
    sigma)) with
    s = |beta_s - beta_t|. Unequal noise: given x, the two densities cross twice, in between lies the set A.

    Args:
        source: noise_std > 0.
        target: noise_std > 0; it may differ from the source's.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        For two linear laws quadrature over the Gaussian t, to rounding; unbiased with drawn inputs.
    """
    check_laws(source, target, noisy=True)
    noise, reference = jnp.asarray(source.noise_std), jnp.asarray(target.noise_std)
    return mean_over_difference(lambda t: gaussian_total_variation(t, noise, reference), 1.0, source, target, inputs)


def gaussian_total_variation(
    difference: Float[Array, " n"], noise: Float[Array, ""], reference: Float[Array, ""]
) -> Float[Array, " n"]:
    """TV of N(difference, noise²) and N(0, reference²), entry by entry."""
    narrow, wide = jnp.minimum(noise, reference), jnp.maximum(noise, reference)
    gap = jnp.abs(difference)
    equal = wide - narrow <= 1e-6 * wide
    excess = jnp.where(equal, 1.0, wide**2 - narrow**2)
    # y measured from the narrow law's mean, towards the wide one's: the crossings solve excess y² + 2 narrow² gap y
    # = rest
    rest = narrow**2 * (gap**2 + 2 * wide**2 * jnp.log(wide / narrow))
    root = jnp.sqrt((narrow**2 * gap) ** 2 + excess * rest)
    low, high = -(narrow**2 * gap + root) / excess, rest / (narrow**2 * gap + root)
    inner = ndtr(high / narrow) - ndtr(low / narrow)
    outer = ndtr((high - gap) / wide) - ndtr((low - gap) / wide)
    return jnp.where(equal, 2 * ndtr(gap / (narrow + wide)) - 1, inner - outer)
