"""Gradient flow of a balanced rank-one chain at given times: the whole learning curve, without a step size."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx._checks import check_count
from tlx.spectral import Chain, Modes, layer_norm, predictor, squared_loss

STEP = 0.25  # Runge-Kutta step times the largest rate of change; the method is stable to 2.8


def path(
    modes: Modes,
    start: Chain,
    depth: int,
    times: Float[Array, " k"],
    observe: Callable[[Float[Array, " d"]], PyTree],
) -> PyTree:
    """`observe(beta(t))` at each time, along du/dt = -dLoss/du for every layer.

    At depth 1 in closed form, beta_j(t) = e^{-2 lambda_j t} beta_j(0) + (1 - e^{-2 lambda_j t}) b_j / lambda_j. At
    depth > 1 the chain's d + 1 equations are solved by the classical fourth-order Runge-Kutta method, its step set
    at each moment by a bound on the loss's curvature. Gradient descent of step eta is at time t = eta * steps.

    Args:
        modes: the data.
        start: the chain at time 0, in the basis of the modes. A chain at zero stays there.
        depth: L >= 1 (static).
        times: increasing, >= 0, shape (k,). The cost grows like 40 max(lambda) * times[-1] steps at depth 2.
        observe: of a predictor in the basis of the modes, for example its excess risk.

    Returns:
        `observe`'s result stacked over times. About 5 digits in float32.
    """
    check_count("depth", depth)
    if depth == 1:
        return jax.lax.map(lambda time: observe(linear_flow(modes, start.first, time)), times)
    gradient = jax.grad(lambda chain: squared_loss(chain, modes, depth))
    steepest = jnp.max(modes.eigenvalues)

    def largest_rate(chain: Chain) -> Array:
        """An upper bound on the loss's second derivative, up to a factor of order one."""
        scale, size = layer_norm(chain, depth), jnp.linalg.norm(chain.first)
        slope = 2 * jnp.linalg.norm(modes.eigenvalues * predictor(chain, depth) - modes.cross)
        spread = scale ** (2 * depth - 2) + (depth - 1) * (size * scale ** (depth - 2)) ** 2
        return 2 * steepest * spread + depth**2 * slope * scale ** (depth - 2)

    def moved(chain: Chain, slope: Chain, length: Array) -> Chain:
        return jax.tree.map(lambda w, g: w - length * g, chain, slope)

    def runge_kutta(chain: Chain, length: Array) -> Chain:
        one = gradient(chain)
        two = gradient(moved(chain, one, length / 2))
        three = gradient(moved(chain, two, length / 2))
        four = gradient(moved(chain, three, length))
        mean = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, one, two, three, four)
        return moved(chain, mean, length)

    def segment(carry, time):
        def step(carry):
            chain, now = carry
            longest = STEP / jnp.maximum(largest_rate(chain), jnp.finfo(now.dtype).tiny)
            last = longest >= time - now
            length = jnp.minimum(longest, time - now)
            return runge_kutta(chain, length), jnp.where(last, time, now + length)

        carry = jax.lax.while_loop(lambda carry: carry[1] < time, step, carry)
        return carry, observe(predictor(carry[0], depth))

    begin = (start, jnp.zeros((), modes.cross.dtype))
    return jax.lax.scan(segment, begin, jnp.asarray(times, modes.cross.dtype))[1]


def linear_flow(modes: Modes, start: Float[Array, " d"], time: Float[Array, ""] | float) -> Float[Array, " d"]:
    """Depth 1: e^{-2 lambda t} start + (1 - e^{-2 lambda t}) b / lambda, mode by mode (2 t b where lambda = 0)."""
    exponent = 2 * modes.eigenvalues * time
    small = exponent < jnp.finfo(modes.cross.dtype).eps
    gain = jnp.where(small, 2 * time, -jnp.expm1(-exponent) / jnp.where(small, 1, modes.eigenvalues))
    return jnp.exp(-exponent) * start + gain * modes.cross
