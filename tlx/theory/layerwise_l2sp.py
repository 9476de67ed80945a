"""L2-SP layer by layer: weight decay of every layer towards its own pretrained weights, as libraries do it."""

import jax
import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.finite_source import kept, squared_norm
from tlx.theory.ridge import effective_ridge, ridge_risk

_REACH, _SCAN, _BISECTIONS = 6.0, 161, 60
_LEAST_LOG, _MOST_LOG, _GRID, _NARROWING, _ROUNDS = -12.0, 8.0, 41, 0.1, 5


def layerwise_l2sp_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    weight_decay: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """Mean excess risk of fine-tuning with every layer decayed towards its start, wd (W_l - W_l(0)), as d -> inf.

    R = `ridge_risk` at lambda = wd/(2 s^{2L-2}) and target_norm = |beta_t - c beta_pre|, c = (s/s_0)^{L-1}, s_0 =
    q^{1/L}; the norm s of the layers above the first solves s (s - s_0) = E|beta|^2/s^{2L-2}
    - E<beta, beta_pre> s_0/(q s^{L-1}), whose means follow from the effective ridge K at lambda: with
    h = K/(1 + K), I = h - lambda K'/(1 + K)^2, K' = 1/(1 - G/(1 + K)^2), G = 1/g,
    E|beta|^2 = c^2 q^2 I + r^2 (1 - 2 h + I) + 2 c m (h - I) + sigma^2 G (h - I)/lambda and
    E<beta, beta_pre> = c q^2 h + m (1 - h).

    Args:
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        weight_decay: wd >= 0, added to every layer's gradient of the mean squared error as wd (W_l - W_l(0)).
        depth: L >= 1; at L = 1 it is `l2sp_risk` at penalty wd/2.
        target_norm: r = |beta_t|.
        source_norm: rho = |beta_s| > 0 of the source task; q and m follow from it and the source set.
        source_ratio: g_s = n_s/d > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast. At wd = 0 the limit wd -> 0, which is not where training
        without a penalty ends (`fine_tuning_risk`): the smallest pull slides the layers along the fitted solutions
        to those nearest their start. As wd -> inf |beta_t - beta_pre|^2. NaN where no solution is found for s within
        a factor of e^6 of s_0; infinite at g = 1 with noise at wd = 0, and at g_s = 1 with source noise.

    Source: stationarity of a balanced rank-one chain with the deterministic equivalents of `ridge_risk`, derived
    here; of several solutions the one next to the start, on the side to which the first step goes.
    """
    arrays = _checked(
        overlap_angle, sample_ratio, noise_std, depth, target_norm, source_norm, source_ratio, source_noise_std,
        weight_decay,
    )  # fmt: skip
    lost, terms = arrays[0], arrays[1:]
    return jnp.where(lost, jnp.inf, _risks(*terms))


def optimal_layerwise_l2sp_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
) -> Result:
    """Mean excess risk of layer-by-layer L2-SP with its best weight decay, between e^-12 and e^8 (or none, or inf).

    Args:
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        depth: L >= 1.
        target_norm: r.
        source_norm: rho > 0.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.

    Returns:
        The least value of `layerwise_l2sp_risk` over its weight decay, the arguments broadcast: a grid of 41
        in log wd, narrowed four times about its best point; the gradient is that at fixed weight decay.

    Source: as `layerwise_l2sp_risk`.
    """
    arrays = _checked(
        overlap_angle, sample_ratio, noise_std, depth, target_norm, source_norm, source_ratio, source_noise_std, 0.0
    )
    lost, terms = arrays[0], arrays[1:-1]
    return jnp.where(lost, jnp.inf, _best_risks(*terms))


def _checked(
    angle, ratio, noise, depth, norm, source_norm, source_ratio, source_noise, decay
) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array]:
    """Whether q is infinite, then g, sigma, L, r, q, m and wd as arrays of one shape."""
    _arrays.check_pair(angle, noise, norm, source_norm)
    _checks.check_positive("source_norm", source_norm, remedy="A network at zero has no layers to be pulled towards.")
    _arrays.check_ratio("sample_ratio", ratio)
    _arrays.check_source(source_ratio, source_noise)
    _checks.check_range("depth", depth, 1.0, remedy="Pass at least one layer.")
    _checks.check_nonnegative("weight_decay", decay)
    angle, ratio, noise, depth, norm, source_norm, source_ratio, source_noise, decay = _arrays.common(
        angle, ratio, noise, depth, norm, source_norm, source_ratio, source_noise, decay
    )
    square = squared_norm(source_ratio, source_noise, source_norm, None)
    lost = jnp.isinf(square)
    start = jnp.sqrt(_arrays.guarded(~lost, square))
    overlap = norm * source_norm * kept(source_ratio) * jnp.cos(angle)
    return lost, ratio, noise, depth, norm, start, overlap, decay


@jax.jit
def _risks(*arrays: Array) -> Array:
    return _arrays.elementwise(_risk_of_one, *arrays)


@jax.jit
def _best_risks(*arrays: Array) -> Array:
    return _arrays.elementwise(_best_of_one, *arrays)


def _imbalance(shift: Array, ratio, noise, depth, norm, start, overlap, decay) -> tuple[Array, Array, Array]:
    """s (s - s_0) minus what stationarity wants, in units of s_0^2, at s = s_0 e^shift; then lambda and c."""
    first = start ** (1 / depth)
    layer = first * jnp.exp(shift)
    outer = layer ** (depth - 1)
    ridge, scale = decay / (2 * outer**2), jnp.exp((depth - 1) * shift)
    kappa = effective_ridge(1 / ratio, ridge)
    off = kappa / (1 + kappa)
    room = (1 + kappa) ** 2 - 1 / ratio
    open_ = room > 0
    rate = jnp.where(open_, 1 / _arrays.guarded(open_, room), 0.0)  # K'/(1 + K)^2
    twice = off - ridge * rate
    fitted = scale**2 * start**2 * twice + norm**2 * (1 - 2 * off + twice)
    fitted = fitted + 2 * scale * overlap * (off - twice) + noise**2 / ratio * rate
    along = scale * start**2 * off + overlap * (1 - off)
    wanted = fitted / outer**2 - along * first / (start * outer)
    return (layer * (layer - first) - wanted) / first**2, ridge, scale


def _risk_of_one(ratio, noise, depth, norm, start, overlap, decay) -> Array:
    """Scan outwards from the start for the first crossing, bisect, and end on a Newton step with the derivative."""
    endless = jnp.isinf(decay)
    decay = _arrays.guarded(~endless, decay)
    pole = (decay == 0) & (ratio == 1)
    decay = _arrays.guarded(~pole, decay)
    terms = (ratio, noise, depth, norm, start, overlap, decay)

    def excess(shift):
        return _imbalance(shift, *terms)[0]

    side = jnp.where(excess(jnp.zeros_like(ratio)) < 0, 1.0, -1.0)
    scan = jnp.linspace(0.0, _REACH, _SCAN, dtype=ratio.dtype)
    crossed = side * jax.vmap(lambda step: excess(side * step))(scan) >= 0
    found, place = jnp.any(crossed), jnp.argmax(crossed)
    low, high = jnp.where(place > 0, scan[place - 1], 0.0), scan[place]

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        over = side * excess(side * middle) >= 0
        return jnp.where(over, low, middle), jnp.where(over, middle, high)

    shift = jax.lax.stop_gradient(side * sum(jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))) / 2)
    slope = jax.lax.stop_gradient(jax.grad(excess)(shift))
    shift = shift - jnp.where(found, excess(shift) / _arrays.guarded(slope != 0, slope), 0.0)
    _, ridge, scale = _imbalance(shift, *terms)
    distance = norm**2 - 2 * scale * overlap + scale**2 * start**2
    risk = ridge_risk(ratio, noise, ridge, target_norm=_arrays.root(distance))
    risk = jnp.where(found, risk, jnp.nan)
    apart = norm**2 - 2 * overlap + start**2
    return jnp.where(endless, apart, jnp.where(pole, jnp.where(noise > 0, jnp.inf, 0.0), risk))


def _best_of_one(*terms: Array) -> Array:
    """The least risk over log wd, and over no decay and an infinite one."""

    def at(log_decay):
        return _risk_of_one(*terms, jnp.exp(log_decay))

    def narrow(_, window):
        centre, half = window
        grid = centre + half * jnp.linspace(-1, 1, _GRID, dtype=centre.dtype)
        return grid[jnp.nanargmin(jax.vmap(at)(grid))], half * _NARROWING

    whole = jnp.asarray([(_MOST_LOG + _LEAST_LOG) / 2, (_MOST_LOG - _LEAST_LOG) / 2], terms[0].dtype)
    log_decay, _ = jax.lax.fori_loop(0, _ROUNDS, narrow, (whole[0], whole[1]))
    inner = jnp.exp(jax.lax.stop_gradient(log_decay))
    decays = jnp.stack([inner, jnp.zeros_like(inner), jnp.full_like(inner, jnp.inf)])
    risks = jax.vmap(lambda decay: _risk_of_one(*terms, decay))(decays)
    return risks[jnp.nanargmin(risks)]
