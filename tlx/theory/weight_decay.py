"""Weight decay in a deep linear network: which ridge it amounts to, and the scratch risk that follows (Figure 5)."""

import jax
import jax.numpy as jnp

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.ridge import ridge_risk

_LOWEST, _HIGHEST, _SCAN, _BISECTIONS = -60.0, 20.0, 321, 60


def ridge_of_norm(weight_decay: Numbers, norm: Numbers, *, depth: Numbers = 2) -> Result:
    """The ridge that weight decay exerts at an endpoint of given norm, lambda = (wd/2) |beta|^{2/L - 2}.

    Args:
        weight_decay: wd >= 0, added to every layer's gradient of the mean squared error as wd * W.
        norm: |beta| > 0 of the end-to-end vector.
        depth: L >= 1.

    Returns:
        lambda of (X^T X/n + lambda I)^{-1} X^T y/n, the arguments broadcast. Valid for a balanced rank-one chain at
        rest. Source: stationarity of the first layer, 2 s^{L-1} (gradient) + wd s u = 0 with beta = s^L u.
    """
    _checks.check_nonnegative("weight_decay", weight_decay)
    _checks.check_positive("norm", norm)
    _checks.check_range("depth", depth, 1.0, remedy="Pass at least one layer.")
    decay, norm, depth = _arrays.common(weight_decay, norm, depth)
    return decay / 2 * norm ** (2 / depth - 2)


def weight_decay_ridge(
    sample_ratio: Numbers, noise_std: Numbers, weight_decay: Numbers, *, depth: Numbers = 2, target_norm: Numbers = 1.0
) -> Result:
    """The ridge at which a trained network with weight decay comes to rest: lambda |beta(lambda)|^{2-2/L} = wd/2.

    |beta|^2 = (r^2 (1 + kappa + G (kappa - 1))/(1 + kappa) + sigma^2 G)/((1 + kappa)^2 (1 - f)), with kappa, f, G
    of `ridge_risk`.

    Args:
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        weight_decay: wd >= 0, as in `ridge_of_norm`.
        depth: L >= 1.
        target_norm: r = |beta_t|.

    Returns:
        The smallest solution lambda (the stable one), inf where there is none and the network decays to zero: at
        L = 2 for wd >= 2 sqrt(r^2 (1 + G) + sigma^2 G). Limit d -> inf. Beyond L = 2 zero is stable too, and a start
        small against wd ends there whatever this says. The gradient at wd = 0 is that from above.

    Source: stationarity of a balanced chain (derived here) and the deterministic equivalent of `ridge_risk`.
    """
    _arrays.check_ratio("sample_ratio", sample_ratio)
    for name, value in (("noise_std", noise_std), ("weight_decay", weight_decay), ("target_norm", target_norm)):
        _checks.check_nonnegative(name, value)
    _checks.check_range("depth", depth, 1.0, remedy="Pass at least one layer.")
    arrays = _arrays.common(sample_ratio, noise_std, weight_decay, depth, target_norm)
    return _ridges(*arrays)


@jax.jit
def _ridges(*arrays: Array) -> Array:
    return _arrays.elementwise(_ridge_of_one, *arrays)


def _log_excess(log_step: Array, ratio: Array, noise: Array, depth: Array, norm: Array) -> tuple[Array, Array]:
    """log of lambda |beta|^{2-2/L}, and lambda, at kappa = max(G - 1, 0) + e^z."""
    inverse = 1 / ratio
    step = jnp.exp(log_step)
    kappa = jnp.maximum(inverse - 1, 0.0) + step
    ridge = kappa * (step + jnp.maximum(1 - inverse, 0.0)) / (1 + kappa)
    room = (1 + kappa) ** 2 - inverse
    kept = (1 + kappa + inverse * (kappa - 1)) / (1 + kappa)
    square = (norm**2 * kept + noise**2 * inverse) / room
    return jnp.log(ridge) + (1 - 1 / depth) * jnp.log(square), ridge


def _ridge_of_one(ratio: Array, noise: Array, decay: Array, depth: Array, norm: Array) -> Array:
    """Scan for the first crossing, bisect, and end on one Newton step that carries the implicit derivative."""
    arrays = (ratio, noise, decay, depth, norm)
    live = (decay > 0) & ((norm > 0) | (noise > 0))
    goal = jnp.log(_arrays.guarded(live, decay) / 2)
    norm = _arrays.guarded(live, norm)

    def excess(log_step):
        return _log_excess(log_step, ratio, noise, depth, norm)[0] - goal

    scan = jnp.linspace(_LOWEST, _HIGHEST, _SCAN, dtype=ratio.dtype)
    crossed = jax.vmap(excess)(scan) >= 0
    found = jnp.any(crossed)

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        above = excess(middle) >= 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    start = (scan[0], scan[jnp.argmax(crossed)])
    root = jax.lax.stop_gradient(sum(jax.lax.fori_loop(0, _BISECTIONS, halve, start)) / 2)
    slope = jax.lax.stop_gradient(jax.grad(excess)(root))
    solved = found & (slope > 0)
    root = root - jnp.where(solved, excess(root) / _arrays.guarded(solved, slope), 0.0)
    ridge = _log_excess(root, ratio, noise, depth, norm)[1]
    return jnp.where(live, jnp.where(found, ridge, jnp.inf), jnp.where(decay > 0, jnp.inf, _start(*arrays)))


def _start(ratio: Array, noise: Array, decay: Array, depth: Array, norm: Array) -> Array:
    """lambda = 0 at wd = 0, with its slope |beta_sc|^{2/L - 2}/2 (0 where |beta_sc| is infinite and L > 1)."""
    square = norm**2 * jnp.minimum(ratio, 1.0) + _arrays.times(noise**2, _arrays.noise_gain(ratio))
    plain = (decay == 0) & (square > 0) & jnp.isfinite(square)
    slope = _arrays.guarded(plain, square) ** (1 / depth - 1) / 2
    slope = jnp.where(plain, slope, jnp.where(depth > 1, 0.0, 0.5))
    return jnp.where(decay == 0, decay, 0.0) * slope


def weight_decay_risk(
    sample_ratio: Numbers, noise_std: Numbers, weight_decay: Numbers, *, depth: Numbers = 2, target_norm: Numbers = 1.0
) -> Result:
    """Mean excess risk of a network trained from scratch with weight decay: `ridge_risk` at `weight_decay_ridge`.

    Args:
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        weight_decay: wd >= 0.
        depth: L >= 1.
        target_norm: r = |beta_t|.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast; r^2 where the network decays to zero. Its minimum over wd is
        `optimal_ridge_risk` wherever the best ridge is on the stable branch. Limit d -> inf.

    Source: Figure 5 of the paper, in closed form.
    """
    ridge = weight_decay_ridge(sample_ratio, noise_std, weight_decay, depth=depth, target_norm=target_norm)
    ratio, noise, norm, ridge = _arrays.common(sample_ratio, noise_std, target_norm, ridge)
    finite = jnp.isfinite(ridge)
    return jnp.where(finite, ridge_risk(ratio, noise, _arrays.guarded(finite, ridge), target_norm=norm), norm**2)
