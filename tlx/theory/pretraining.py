"""Pretraining on the population: how a balanced chain grows into the source task (Theorem 3.4).

Convention: loss |beta - beta_s|^2 (no half), gradient flow dW_l/dt = -dL/dW_l, so a step of size eta advances time
by eta. A balanced rank-one chain W_1 = s u v_1^T, W_l = s v_{l-1} v_l^T, W_L = s v_{L-1} has beta = s^L u.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result

_BISECTIONS = 80


def _check(initial_norm: Numbers, source_norm: Numbers, depth: int) -> None:
    _checks.check_positive("initial_norm", initial_norm, "A network at zero never leaves it: pass initial_norm > 0.")
    _checks.check_positive("source_norm", source_norm)
    _checks.check_count("depth", depth, 1, "Pass the number of layers.")


def pretraining_time(norm: Numbers, initial_norm: Numbers, *, source_norm: Numbers = 1.0, depth: int = 2) -> Result:
    """When the end-to-end norm of an aligned balanced chain reaches a given value.

    t = (F(v) - F(v_0))/(2 rho^{2-2/L}), v = (x/rho)^{1/L}, F = integral of dv/(v^{L-1} (1 - v^L)): elementary for
    every integer L; L = 2: t = log[x (rho - x_0)/(x_0 (rho - x))]/(4 rho).

    Args:
        norm: x = |beta|, between `initial_norm` and rho: the flow visits no other value.
        initial_norm: x_0 > 0, at most rho.
        source_norm: rho = |beta_s|.
        depth: L >= 1 (a plain integer).

    Returns:
        Time, the arguments broadcast; 0 at x = x_0, else inf at x = rho. NaN for a traced x that is never reached.

    Source: separation of dx/dt = 2 L x^{2-2/L} (rho - x).
    """
    _check(initial_norm, source_norm, depth)
    _checks.check_positive("norm", norm)
    _check_order("norm", norm, initial_norm, source_norm)
    norm, start, source = _arrays.common(norm, initial_norm, source_norm)
    speed = 2 * source ** (2 - 2 / depth)
    inside, still, ended = (start < norm) & (norm < source), norm == start, norm == source
    first = _logit(_arrays.guarded(inside, start / source, 0.25), depth)
    last = _logit(_arrays.guarded(inside, norm / source, 0.5), depth)
    moving = (_clock(last, depth) - _clock(first, depth)) / speed
    return jnp.where(inside, moving, jnp.where(still, 0.0, jnp.where(ended & (start < source), jnp.inf, jnp.nan)))


def _check_order(name: str, value: Numbers, initial_norm: Numbers, source_norm: Numbers) -> None:
    """Refuse a norm outside [initial_norm, source_norm], as far as the values can be looked at."""
    arrays = [_checks.concrete(number) for number in (value, initial_norm, source_norm)]
    if any(array is None for array in arrays):
        return
    middle, low, high = np.broadcast_arrays(*arrays)
    wrong = ~((low <= middle) & (middle <= high))
    if np.any(wrong):
        place = tuple(index[0] for index in np.nonzero(np.atleast_1d(wrong)))
        middle, low, high = (float(np.atleast_1d(array)[place]) for array in (middle, low, high))
        raise ValueError(
            f"{name} = {middle} is outside [initial_norm, source_norm] = [{low}, {high}]: pass a norm on the way."
        )


def _logit(share: Array, depth: int) -> Array:
    """log(v/(1 - v)) of v = share^{1/L}, accurate at both ends."""
    log_root = jnp.log(share) / depth
    return log_root - jnp.log(-jnp.expm1(log_root))


def _clock(logit: Array, depth: int) -> Array:
    """F(v) at v = sigmoid(logit): a power, a logarithm, and one term for every further L-th root of unity.

    1/(v^{L-1} (1 - v^L)) = v^{1-L} + v/(1 - v^L) and v/(1 - v^L) = sum_j (w_j^2/L)/(w_j - v) over w_j^L = 1.
    """
    log_root, log_left = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
    if depth == 1:
        return -log_left
    root = jnp.exp(log_root)
    power = log_root if depth == 2 else -jnp.exp((2 - depth) * log_root) / (depth - 2)
    total = power - log_left / depth
    for index in range(1, depth):
        phase = 2 * jnp.pi * index / depth
        far, side = 1 - root * jnp.cos(phase), root * jnp.sin(phase)
        log_size, turn = jnp.log(far**2 + side**2) / 2, jnp.arctan2(side, far)
        total = total - (jnp.cos(2 * phase) * log_size - jnp.sin(2 * phase) * turn) / depth
    return total


def pretraining_norm(time: Numbers, initial_norm: Numbers, *, source_norm: Numbers = 1.0, depth: int = 2) -> Result:
    """The sigmoidal growth of the end-to-end norm x(t) of an aligned balanced chain, dx/dt = 2 L x^{2-2/L} (rho - x).

    L = 1: x = rho + (x_0 - rho) e^{-2t}. L = 2: x = rho/(1 + (rho/x_0 - 1) e^{-4 rho t}). L >= 3: the inverse of
    `pretraining_time`, found by bisection and differentiated implicitly.

    Args:
        time: t >= 0; a gradient-descent run of step eta is at t = eta * steps, up to O(eta).
        initial_norm: x_0 > 0; at most rho for L >= 3, where only growth is implemented.
        source_norm: rho = |beta_s|.
        depth: L >= 1 (a plain integer).

    Returns:
        x(t), the arguments broadcast: x_0 at t = 0, rho as t -> inf.

    Source: Theorem 3.4 and Saxe, McClelland, Ganguli 2014 (L = 2); the loss is (rho - x)^2.
    """
    _check(initial_norm, source_norm, depth)
    _checks.check_nonnegative("time", time)
    time, start, source = _arrays.common(time, initial_norm, source_norm)
    if depth == 1:
        return source + (start - source) * jnp.exp(-2 * time)
    if depth == 2:
        fading = jnp.exp(-4 * source * time)
        return 1 / (fading / start - jnp.expm1(-4 * source * time) / source)
    _check_order("initial_norm", initial_norm, 0.0, source_norm)
    moving = start < source
    first = _logit(_arrays.guarded(moving, start / source, 0.5), depth)
    goal = 2 * source ** (2 - 2 / depth) * time + _clock(first, depth)
    ended = jnp.isinf(time)
    logit = _inverse_clock(_arrays.guarded(~ended, goal, 0.0), first, depth)
    grown = source * jnp.where(ended, 1.0, jnp.exp(depth * jax.nn.log_sigmoid(logit)))
    return jnp.where(moving, grown, jnp.where(start == source, source, jnp.nan))


@partial(jax.jit, static_argnums=2)
def _inverse_clock(goal: Array, first: Array, depth: int) -> Array:
    """The logit at which `_clock` shows `goal`: bisection, then one Newton step that carries the derivative."""
    top = jnp.maximum(first, 0.0) + depth * jnp.maximum(goal, 0.0) + 40.0

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        late = _clock(middle, depth) >= goal
        return jnp.where(late, low, middle), jnp.where(late, middle, high)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, jax.lax.stop_gradient((first, top)))
    found = jax.lax.stop_gradient((low + high) / 2)
    log_root = jax.nn.log_sigmoid(found)
    rate = jnp.exp((2 - depth) * log_root + jax.nn.log_sigmoid(-found)) / -jnp.expm1(depth * log_root)
    return found + (goal - _clock(found, depth)) / jax.lax.stop_gradient(rate)


def pretraining_path(
    time: Numbers, initial_norm: Numbers, initial_alignment: Numbers, *, source_norm: Numbers = 1.0
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Norm and alignment of a two-layer balanced rank-one network that starts in any direction.

    With e = e^{-4 rho t}, D = (1 + a_0) + (1 - a_0) e, K = 4 e/D^2: alignment a = ((1 + a_0) - (1 - a_0) e)/D and
    1/x = K/x_0 + 2 t K (1 - a_0^2) + (a - a_0 K)/rho. The loss is rho^2 - 2 rho x a + x^2.

    Args:
        time: t >= 0, inf for the limit.
        initial_norm: x_0 > 0.
        initial_alignment: a_0 in [-1, 1], cosine between the starting vector and the source task.
        source_norm: rho = |beta_s|.

    Returns:
        (x, a), the arguments broadcast. a_0 = 1 is `pretraining_norm` at depth 2. At a_0 = -1 the vector never turns:
        a = -1 and x falls to 0; from any other start it ends at (rho, 1).

    Source: derived here from dx/dt = 4 x (rho a - x), da/dt = 2 rho (1 - a^2), the flow of Theorem 3.4 at L = 2.
    """
    _check(initial_norm, source_norm, 2)
    _checks.check_range("time", time, 0.0, remedy="Pass a time of at least 0.")
    _checks.check_range("initial_alignment", initial_alignment, -1.0, 1.0, remedy="Pass a cosine.")
    time, start, first, source = _arrays.common(time, initial_norm, initial_alignment, source_norm)
    opposed, ended = first <= -1, jnp.isinf(time)
    fading = jnp.exp(-4 * source * time)
    turning, clock = _arrays.guarded(~opposed, first, 0.0), _arrays.guarded(~ended, time)
    total = (1 + turning) + (1 - turning) * fading
    kernel = 4 * fading / total**2
    alignment = ((1 + turning) - (1 - turning) * fading) / total
    inverse = kernel / start + 2 * clock * kernel * (1 - turning**2) + (alignment - turning * kernel) / source
    shrunk = fading / (1 / start - jnp.expm1(-4 * source * time) / source)
    return jnp.where(opposed, shrunk, 1 / inverse), jnp.where(opposed, -1.0, alignment)


def effective_start_norm(
    first_layer_on_source: Float[ArrayLike, "*lanes width"], last_layer: Float[ArrayLike, "*lanes width"]
) -> Float[Array, "*lanes"]:
    """The x_0 of the aligned chain that a small random two-layer network grows into, |W_1^T s + w_2|^2/4.

    While beta is small d(W_1^T s)/dt = 2 rho w_2 and d w_2/dt = 2 rho W_1^T s, so the sum grows and the difference
    dies: the vector leaves the origin as x_0 e^{4 rho t}.

    Args:
        first_layer_on_source: W_1^T beta_s/|beta_s| at the start.
        last_layer: w_2 at the start.

    Returns:
        x_0 for `pretraining_norm` at depth 2. Valid for initial weights that are small against sqrt(rho).

    Source: linearisation at the origin (Theorem 3.4, first phase).
    """
    return jnp.sum((first_layer_on_source + last_layer) ** 2, axis=-1) / 4
