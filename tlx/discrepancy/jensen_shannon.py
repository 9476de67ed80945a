"""Jensen-Shannon divergence between two tasks' joint laws."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx.discrepancy.laws import InputNodes, Law, check_laws, mean_over_difference

_NODES = 200


def jensen_shannon(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """JS = (KL(p_source || m) + KL(p_target || m))/2 with m the average law, in nats; symmetric, ceiling log 2.

    Given x, log 2 - (E_p log(1 + q/p) + E_q log(1 + p/q))/2 over the two Gaussians of y; then the mean over x.

    Args:
        source: noise_std > 0.
        target: noise_std > 0; it may differ from the source's.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        No closed form: quadrature over y and, for two linear laws, over the Gaussian difference of the outputs
        (better than
        1e-6 for noises within a factor of 3 of each other); unbiased over x with drawn inputs. TV²/2 <= JS <= log(2)
        TV.
    """
    check_laws(source, target, noisy=True)
    noise, reference = jnp.asarray(source.noise_std), jnp.asarray(target.noise_std)
    return mean_over_difference(
        lambda t: gaussian_jensen_shannon(t, noise, reference), float(np.log(2)), source, target, inputs
    )


def gaussian_jensen_shannon(
    difference: Float[Array, " n"], noise: Float[Array, ""], reference: Float[Array, ""]
) -> Float[Array, " n"]:
    """JS of N(difference, noise²) and N(0, reference²), entry by entry."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    z = jnp.asarray(9 * nodes)
    mass = jnp.asarray(9 * weights * np.exp(-((9 * nodes) ** 2) / 2) / np.sqrt(2 * np.pi))

    def at(gap):
        # log(q/p) at points of p, and log(p/q) at points of q
        from_source = _log_ratio(gap + noise * z, 0.0, reference, gap, noise)
        from_target = _log_ratio(reference * z, gap, noise, 0.0, reference)
        return jnp.log(2.0) - jnp.sum(mass * (jax.nn.softplus(from_source) + jax.nn.softplus(from_target))) / 2

    return jax.vmap(at)(difference)


def _log_ratio(y, mean, std, other_mean, other_std):
    """log of N(y; mean, std²) over N(y; other_mean, other_std²)."""
    return jnp.log(other_std / std) - ((y - mean) / std) ** 2 / 2 + ((y - other_mean) / other_std) ** 2 / 2
