"""Jensen-Shannon divergence between two tasks' joint laws."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx.discrepancy.laws import InputNodes, Law, check_laws, mean_over_difference

_NODES, _REACH = 200, 9.0


def jensen_shannon(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """JS = (KL(p_source || m) + KL(p_target || m))/2 with m the average law, in nats; symmetric, ceiling log 2.

    Given x, log 2 - (E_p log(1 + q/p) + E_q log(1 + p/q))/2 over the two Gaussians of y; then the mean over x.

    Args:
        source: noise_std > 0.
        target: noise_std > 0; it may differ from the source's.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        No closed form: quadrature over y and, for two linear laws, over the Gaussian difference of the outputs, to
        1e-6 at any ratio of the noises; unbiased over x with drawn inputs. TV²/2 <= JS <= log(2) TV.
    """
    check_laws(source, target, noisy=True)
    noise, reference = jnp.asarray(source.noise_std), jnp.asarray(target.noise_std)
    return mean_over_difference(
        lambda t: gaussian_jensen_shannon(t, noise, reference), float(np.log(2)), source, target, inputs
    )


def gaussian_jensen_shannon(
    difference: Float[Array, " n"], noise: Float[Array, ""], reference: Float[Array, ""]
) -> Float[Array, " n"]:
    """JS of N(difference, noise²) and N(0, reference²), entry by entry.

    log 2 - (1/2) integral of [p log(1 + q/p) + q log(1 + p/q)] with p the narrower law: both terms are below p, so nine
    of its standard deviations hold the integral, and there the wider law is smooth.
    """
    narrow, wide = jnp.minimum(noise, reference), jnp.maximum(noise, reference)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    z = jnp.asarray(_REACH * nodes)
    mass = jnp.asarray(_REACH * weights * np.exp(-((_REACH * nodes) ** 2) / 2) / np.sqrt(2 * np.pi))

    def at(gap):
        log_ratio = jnp.log(narrow / wide) + z**2 / 2 - ((narrow * z + gap) / wide) ** 2 / 2  # log(q/p)
        terms = jax.nn.softplus(log_ratio) + jnp.exp(log_ratio) * jax.nn.softplus(-log_ratio)
        return jnp.maximum(jnp.log(2.0) - jnp.sum(mass * terms) / 2, 0.0)

    return jax.vmap(at)(jnp.abs(difference))
