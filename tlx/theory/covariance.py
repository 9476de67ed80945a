"""Inputs with covariance S = diag(s): linear transfer stays exact, the rest follows deterministic equivalents.

Vectors are given in the eigenbasis of S; risks are (beta_hat - beta_t)^T S (beta_hat - beta_t). With kappa from
sum_i s_i/(s_i + kappa) = n, the projector off the span of n < d samples acts as I - P ~ kappa (S + kappa)^{-1} and
(I - P) S (I - P) ~ kappa^2 S (S + kappa)^{-2}/(1 - f), f = sum_i (s_i/(s_i + kappa))^2/n. The noise terms are
multiplied by w = (d - n)/(d - n - 1): without it they are too small by 1/(d - n) of themselves (16 % at d = 61, n = 55,
for s_i = i^-2 and i^{-1/2} alike); with it they are exact at s = 1 and near n = d, elsewhere good to O(1/n).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Numbers, Result
from tlx.theory._fixed_point import norm_root
from tlx.theory._refit import refit_moments

_STEPS = 60
Vector = Float[Array | np.ndarray, "dim"]


def _check(spectrum: Vector, vectors: dict[str, Vector], noise_std: Numbers, num_samples: Numbers) -> None:
    _checks.check_positive("spectrum", spectrum, "Pass positive eigenvalues; drop directions that inputs never take.")
    for name, vector in vectors.items():
        shape, wanted = jnp.shape(vector), jnp.shape(spectrum)
        _checks.require(shape == wanted, f"{name} has shape {shape}, spectrum {wanted}: pass one entry an eigenvalue.")
    _checks.check_nonnegative("noise_std", noise_std)
    _checks.check_positive("num_samples", num_samples, remedy="Pass at least one target sample.")


def _floats(*vectors: Vector) -> list[Array]:
    dtype = jnp.result_type(*vectors, 0.0)
    return [jnp.asarray(vector, dtype) for vector in vectors]


def covariance_linear_transfer_risk(
    spectrum: Vector,
    target: Vector,
    source: Vector,
    noise_std: Numbers,
    *,
    num_samples: Numbers = np.inf,
    ridge: Numbers = 0.0,
) -> Result:
    """Mean excess risk of refitting the last layer on the feature x^T u, u = source/|source|.

    R = rho + (sigma^2 + rho)/(n - 2), rho = b_t^T S b_t - (u^T S b_t)^2/(u^T S u); with a ridge the integrals of
    `linear_transfer_risk` at lambda/(u^T S u).

    Args:
        spectrum: s (d,), eigenvalues of the input covariance, > 0.
        target: beta_t (d,) in the eigenbasis.
        source: beta_s (d,), not zero; its length does not matter.
        noise_std: sigma >= 0.
        num_samples: n > 0; inf for the limit.
        ridge: lambda >= 0, (F^T F + n lambda I) c = F^T y.

    Returns:
        The risk, the last three arguments broadcast: exact in n and d. Infinite for n <= 2 at ridge 0.

    Source: Theorem 3.7 carried over to any covariance. Compare "Transfer Learning for Benign Overfitting" (general
    covariance, several sources).
    """
    _check(spectrum, {"target": target, "source": source}, noise_std, num_samples)
    _checks.check_nonnegative("ridge", ridge)
    spectrum, target, source = _floats(spectrum, target, source)
    power = jnp.sum(spectrum * source**2)
    share = jnp.sum(spectrum * source * target) ** 2 / power
    floor = jnp.maximum(jnp.sum(spectrum * target**2) - share, 0.0)
    noise, count, ridge, floor, share, power = _arrays.common(
        noise_std, num_samples, ridge, floor, share, power / jnp.sum(source**2)
    )
    shrinkage, variance = refit_moments(count, ridge / power)
    return floor + share * shrinkage + _arrays.times(noise**2 + floor, variance)


def implicit_ridge(spectrum: Vector, num_samples: Numbers) -> Result:
    """The kappa >= 0 by which minimum-norm interpolation of n samples acts like a ridge: sum_i s_i/(s_i + kappa) = n.

    Args:
        spectrum: s (d,), > 0.
        num_samples: n > 0.

    Returns:
        kappa, in the units of s, with the shape of `num_samples`; 0 for n >= d. Isotropic inputs: s (d/n - 1).

    Source: Hastie, Montanari, Rosset, Tibshirani 2022, equation (11); by Newton's method in log kappa.
    """
    (spectrum,) = _floats(spectrum)
    (count,) = _arrays.common(num_samples)
    return _implicit_ridges(spectrum, count.astype(spectrum.dtype))


@jax.jit
def _implicit_ridges(spectrum: Array, counts: Array) -> Array:
    return _arrays.elementwise(lambda count: _implicit_ridge(spectrum, count), counts)


def _implicit_ridge(spectrum: Array, count: Array) -> Array:
    dim = spectrum.shape[0]
    below = count < dim
    count = _arrays.guarded(below, count, dim / 2)

    def surplus(log_kappa, spectrum, count):
        return jnp.log(jnp.sum(spectrum / (spectrum + jnp.exp(log_kappa)))) - jnp.log(count)

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        small = surplus(middle, spectrum, count) > 0
        return jnp.where(small, middle, low), jnp.where(small, high, middle)

    spare = jnp.log((dim - count) / count)
    bracket = jax.lax.stop_gradient((jnp.log(jnp.min(spectrum)) + spare, jnp.log(jnp.max(spectrum)) + spare))
    root = jax.lax.stop_gradient(sum(jax.lax.fori_loop(0, _STEPS, halve, bracket)) / 2)
    slope = jax.lax.stop_gradient(jax.grad(surplus)(root, spectrum, count))
    return jnp.where(below, jnp.exp(root - surplus(root, spectrum, count) / slope), 0.0)


def _resolvents(spectrum: Array, num_samples: Numbers, *others: Numbers) -> tuple[list[Array], Array, Array, Array]:
    """(n and others broadcast), kappa, kappa/(s + kappa) with a last axis d, and f; harmless values for n >= d."""
    *arrays, _ = _arrays.common(num_samples, *others, jnp.zeros((), spectrum.dtype))
    kappa = implicit_ridge(spectrum, arrays[0])
    below = arrays[0] < spectrum.shape[0]
    kappa = _arrays.guarded(below, kappa)
    wide = spectrum.reshape((1,) * kappa.ndim + (-1,))
    off = kappa[..., None] / (wide + kappa[..., None])
    freedom = jnp.sum((1 - off) ** 2, axis=-1) / _arrays.guarded(below, arrays[0], 2.0 * spectrum.shape[0])
    return arrays, kappa, off, freedom


def _energy(weight: Array, *factors: Array) -> Array:
    """Sum over the last axis of `weight` times the vectors `factors`."""
    product = 1.0
    for factor in factors:
        product = product * factor
    return weight @ product


def covariance_scratch_risk(spectrum: Vector, target: Vector, noise_std: Numbers, num_samples: Numbers) -> Result:
    """Mean excess risk of the minimum-norm interpolator for inputs of any covariance.

    n < d - 1: R = (kappa^2 sum_i s_i b_i^2/(s_i + kappa)^2 + sigma^2 f w)/(1 - f), w = (d - n)/(d - n - 1).
    n > d + 1: sigma^2 d/(n - d - 1), exact.

    Args:
        spectrum: s (d,), > 0.
        target: beta_t (d,) in the eigenbasis.
        noise_std: sigma >= 0.
        num_samples: n > 0.

    Returns:
        The risk, the last two arguments broadcast. Infinite for n in {d - 1, d, d + 1} with noise. At s = 1 it is
        `scratch_risk` with `dim`, exact. Otherwise, measured at d = 61 and s_i = i^-2: the noise term is 3.5 % low at
        n = 10, .6 % at n = 30, .3 % at n = 45 and above; the bias 2.6 %, 1.9 % and 1 % low.

    Source: Hastie, Montanari, Rosset, Tibshirani 2022, Theorem 3 (deterministic equivalent of ridgeless regression);
    w by comparison with the exact isotropic mean and with drawn data.
    """
    _check(spectrum, {"target": target}, noise_std, num_samples)
    spectrum, target = _floats(spectrum, target)
    (count, noise), _, off, freedom = _resolvents(spectrum, num_samples, noise_std)
    bias = _energy(off**2, spectrum, target**2) / (1 - freedom)
    return _joined(count, noise, bias, freedom, spectrum.shape[0])


def _widening(count: Array, dim: int) -> Array:
    """w = (d - n)/(d - n - 1), infinite from n = d - 1 on."""
    below = count < dim - 1
    return jnp.where(below, 1 + 1 / _arrays.guarded(below, dim - 1 - count), jnp.inf)


def _joined(count: Array, noise: Array, bias: Array, freedom: Array, dim: int) -> Array:
    """Bias and noise below n = d, the exact noise term above it, the pole between."""
    above = count > dim + 1
    over = jnp.where(above, dim / _arrays.guarded(above, count - dim - 1), jnp.inf)
    variance = jnp.where(count < dim, freedom / (1 - freedom) * _widening(count, dim), over)
    return jnp.where(count < dim, bias, 0.0) + _arrays.times(noise**2, variance)


def covariance_fine_tuning_risk(
    spectrum: Vector,
    target: Vector,
    source: Vector,
    noise_std: Numbers,
    num_samples: Numbers,
    *,
    depth: Numbers = 2,
    published: bool = False,
) -> Result:
    """Mean excess risk of fine-tuning by gradient flow for inputs of any covariance, from beta_pre = source.

    n < d - 1: R = (kappa^2 sum_i s_i (b_i - c a_i)^2/(s_i + kappa)^2 + sigma^2 f w)/(1 - f), b = beta_t, a = beta_pre,
    c = (|beta_ft|/|a|)^{(L-1)/L}, |beta_ft|^2 = sum_i b_i^2 s_i/(s_i + kappa) + sigma^2 w/kappa
    + c^2 kappa sum_i a_i^2/(s_i + kappa), w as in `covariance_scratch_risk`, which it is for n >= d.

    Args:
        spectrum: s (d,), > 0.
        target: beta_t (d,) in the eigenbasis.
        source: beta_pre (d,): the source task itself for a population source; not zero.
        noise_std: sigma >= 0.
        num_samples: n > 0.
        depth: L >= 1; with layers frozen, the number of trained ones (see `fine_tuning_risk`).
        published: True for c = 1, the form of Theorem 3.9 carried over.

    Returns:
        The risk, the last four arguments broadcast, with the errors of `covariance_scratch_risk` for n < d. At s = 1
        `fine_tuning_risk` with the exact noise terms of its `dim`, but without the fluctuations of c.

    Source: the exact endpoint of `fine_tuning_risk` with the projector's deterministic equivalents, derived here.
    """
    _check(spectrum, {"target": target, "source": source}, noise_std, num_samples)
    _checks.check_range("depth", depth, 1.0, remedy="Pass at least one layer.")
    spectrum, target, source = _floats(spectrum, target, source)
    (count, noise, depth), kappa, off, freedom = _resolvents(spectrum, num_samples, noise_std, depth)
    square = jnp.sum(source**2)
    below = count < spectrum.shape[0] - 1
    widening = _arrays.guarded(below, _widening(count, spectrum.shape[0]))
    size = _energy(1 - off, target**2) + noise**2 * widening / kappa
    exponent = 0 * depth if published else 1 - 1 / depth
    root = norm_root(size / square, _energy(off, source**2) / square, exponent)
    scale = root ** (exponent / 2)
    bias = _energy(off**2, spectrum, target**2) - 2 * scale * _energy(off**2, spectrum, target, source)
    bias = (bias + scale**2 * _energy(off**2, spectrum, source**2)) / (1 - freedom)
    return _joined(count, noise, bias, freedom, spectrum.shape[0])
