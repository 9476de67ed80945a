"""Gradient flow of a balanced rank-one chain at given times: the whole learning curve, without a step size."""

import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx._checks import check_count, check_nonnegative
from tlx.linear.chain import Chain, Modes, predictor, squared_loss


def _diffrax() -> Any:
    """The solver of differential equations (the extra `flow`), imported only when asked for."""
    try:
        return importlib.import_module("diffrax")
    except ImportError as error:
        raise ImportError("The path of gradient flow needs diffrax: pip install 'tlx[flow]'.") from error


def path(
    modes: Modes,
    start: Chain,
    depth: int,
    times: Float[Array, " k"],
    observe: Callable[[Float[Array, " d"]], PyTree],
    *,
    weight_decay: float | Float[Array, ""] = 0.0,
) -> PyTree:
    """`observe(beta(t))` at each time, along dW/dt = -d(loss)/dW - weight_decay W for every layer.

    At depth 1 in closed form (`linear_flow`). At depth > 1 the chain's d + 1 equations are solved by diffrax (Tsitouras
    5/4 with adaptive steps). Gradient descent of step eta is at time t = eta * steps, and follows this path to first
    order in eta; heavy-ball momentum m runs 1/(1 - m) times as fast.

    Args:
        modes: the data.
        start: the chain at time 0, in the basis of the modes. A chain at zero stays there.
        depth: L >= 1 (static).
        times: increasing, >= 0, shape (k,), at least one.
        observe: of a predictor in the basis of the modes, for example its excess risk.
        weight_decay: as in `tlx.train.Optimizer`.

    Returns:
        `observe`'s result stacked over times: about 5 digits in float32, 8 in float64. NaN if the solver gives up.
    """
    check_count("depth", depth)
    check_nonnegative("weight_decay", weight_decay)
    times = jnp.asarray(times, modes.cross.dtype)
    if depth == 1:
        decayed = modes._replace(eigenvalues=modes.eigenvalues + jnp.asarray(weight_decay, times.dtype) / 2)
        return jax.lax.map(lambda time: observe(linear_flow(decayed, start.first, time)), times)
    diffrax = _diffrax()
    gradient = jax.grad(lambda chain: squared_loss(chain, modes, depth))

    def velocity(_time: Array, chain: Chain, _: None) -> Chain:
        return jax.tree.map(lambda g, w: -g - weight_decay * w, gradient(chain), chain)

    accuracy = 1e-5 if times.dtype == jnp.float32 else 1e-8
    # absolute errors count against the start, not against 1: a start of 1e-5 has to leave the saddle at the right time
    smallest = accuracy * jnp.linalg.norm(start.first) / jnp.sqrt(start.first.size)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        diffrax.Tsit5(),
        t0=jnp.zeros((), times.dtype),
        t1=times[-1],
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times, fn=lambda _time, chain, _: observe(predictor(chain, depth))),
        stepsize_controller=diffrax.PIDController(rtol=accuracy, atol=smallest),
        max_steps=None,
        throw=False,
    )
    solved = solution.result == diffrax.RESULTS.successful
    return jax.tree.map(lambda leaf: jnp.where(solved, leaf, jnp.nan), solution.ys)


def linear_flow(modes: Modes, start: Float[Array, " d"], time: Float[Array, ""] | float) -> Float[Array, " d"]:
    """Depth 1: e^{-2 lambda t} start + (1 - e^{-2 lambda t}) b / lambda, mode by mode (2 t b where lambda = 0)."""
    exponent = 2 * modes.eigenvalues * time
    small = exponent < jnp.finfo(modes.cross.dtype).eps
    gain = jnp.where(small, 2 * time, -jnp.expm1(-exponent) / jnp.where(small, 1, modes.eigenvalues))
    return jnp.exp(-exponent) * start + gain * modes.cross
