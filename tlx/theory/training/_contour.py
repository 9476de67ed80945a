"""Any input covariance: spectral measures as sums over complex nodes on a contour around the eigenvalues of X^T X/n.

f(A) = sum_k w_k f(z_k) (z_k - A)^{-1}; the resolvent has the deterministic equivalent T (S + kappa)^{-1}, T = kappa/z,
with kappa (1 - (1/n) sum_i s_i/(s_i + kappa)) = -z. The contour is the hyperbola w = delta (cosh x - 2 + 1.5 i sinh x),
which crosses the real axis at -delta, closed by z = w/(1 + w/R) at R beyond the largest eigenvalue: evenly spaced x are
evenly spaced in log |z|, so the slowest modes are resolved like the fastest, and the midpoint rule converges
geometrically. Nodes come in conjugate pairs: the upper half is kept, with doubled weights, and sums are real parts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from tlx.theory.training._measure import Measure

_NODES = 200  # of the upper half
_MARGIN = 1.3  # where the contour closes, in units of the largest eigenvalue
_BEYOND = 20.0  # e-foldings of the hyperbola beyond it: e^-20 of the closing is left out
_SLOPE = 1.5  # of the hyperbola's arms
_NEWTON = 5
_REAL_STEPS = 80


class Contour(NamedTuple):
    """The upper half of a contour: nodes z, weights dz/(2 pi i), kappa(z), and the inverse 1/(s_i + kappa_k)."""

    nodes: Complex[Array, " k"]
    weights: Complex[Array, " k"]
    kappa: Complex[Array, " k"]
    inverse: Complex[Array, "k d"]


class Vectors(NamedTuple):
    """Products of the entries of u_0 and beta_t in the eigenbasis of the covariance: u_0^2, u_0 beta_t, beta_t^2."""

    source: Float[Array, " d"]
    cross: Float[Array, " d"]
    target: Float[Array, " d"]


def largest(spectrum: Array, count: Array) -> Array:
    """A bound on the largest eigenvalue of X^T X/n: (sqrt(max s) + sqrt(sum s/n))^2."""
    return (jnp.sqrt(jnp.max(spectrum)) + jnp.sqrt(jnp.sum(spectrum) / count)) ** 2


def contour(spectrum: Float[Array, " d"], count: Array, offset: Array) -> Contour:
    """A contour from -offset around the spectrum of X^T X/n, n = count."""
    span = _MARGIN * largest(spectrum, count)
    reach = jnp.log(2 * span / offset) + _BEYOND
    place = reach * (jnp.arange(_NODES, dtype=spectrum.dtype) + 0.5) / _NODES
    open_nodes = jax.lax.complex(offset * (jnp.cosh(place) - 2), _SLOPE * offset * jnp.sinh(place))
    open_slope = jax.lax.complex(offset * jnp.sinh(place), _SLOPE * offset * jnp.cosh(place))
    nodes = open_nodes / (1 + open_nodes / span)
    slope = open_slope / (1 + open_nodes / span) ** 2
    weights = 1j * slope * reach / (_NODES * jnp.pi)  # clockwise in the upper half, doubled: -2 dz/(2 pi i)

    def miss(kappa, node):
        inverse = 1 / (spectrum + kappa)
        value = kappa * (1 - jnp.sum(spectrum * inverse) / count) + node
        return value, 1 - jnp.sum((spectrum * inverse) ** 2) / count

    def newton(kappa, node):
        value, change = miss(kappa, node)
        return kappa - value / change

    def follow(kappa, node):
        kappa = jax.lax.fori_loop(0, _NEWTON, lambda _, k: newton(k, node), kappa)
        return kappa, kappa

    real = jax.lax.fori_loop(0, _REAL_STEPS, lambda _, k: newton(k, -offset), offset + jnp.sum(spectrum) / count)
    _, kappa = jax.lax.scan(follow, real.astype(nodes.dtype), nodes)
    return Contour(nodes, weights, kappa, 1 / (spectrum[None, :] + kappa[:, None]))


def measure(contour: Contour, vectors: Vectors, noise: Array, count: Array) -> Measure:
    """The spectral measures of u_0, beta_t and the label noise."""
    scaled = contour.weights * contour.kappa / contour.nodes
    weights = [scaled * (contour.inverse @ product.astype(scaled.dtype)) for product in vectors]
    return Measure(contour.nodes, *weights, noise**2 / count * scaled * jnp.sum(contour.inverse, axis=1))


class RiskForm(NamedTuple):
    """The population risk as a quadratic form in functions of the modes, for pairs (z_k, z_j) and (z_k, conj z_j)."""

    source: tuple[Array, Array]
    cross: tuple[Array, Array]
    target: tuple[Array, Array]
    noise: tuple[Array, Array]


def risk_form(spectrum: Array, contour: Contour, vectors: Vectors, noise: Array, count: Array) -> RiskForm:
    """E[(z_k - A)^{-1} S (z_j - A)^{-1}] = T_k T_j/(1 - gamma_kj) S/((S + kappa_k)(S + kappa_j)), with the weights."""
    left = contour.weights / 2 * contour.kappa / contour.nodes
    energies = [spectrum * product for product in vectors]

    def pair(inverse: Array, right: Array) -> list[Array]:
        def summed(energy):
            return (contour.inverse * energy[None, :]) @ inverse.T

        shared = left[:, None] * right[None, :] / (1 - summed(spectrum**2 / count))
        forms = [shared * summed(energy) for energy in energies]
        return [*forms, noise**2 / count * contour.nodes[:, None] * shared * summed(spectrum)]

    return RiskForm(*zip(pair(contour.inverse, left), pair(contour.inverse.conj(), left.conj()), strict=True))


def risks(form: RiskForm, nodes: Array, alpha: Array, phi: Array, scale: Array) -> Array:
    """R of beta = k (alpha u_0 + phi b), one for each row of alpha and phi."""
    kept, fitted = scale[:, None] * alpha, scale[:, None] * phi
    missed = fitted * nodes[None, :] - 1

    def bilinear(pair: tuple[Array, Array], left: Array, right: Array) -> Array:
        total = jnp.sum((left @ pair[0]) * right + (left @ pair[1]) * right.conj(), axis=1)
        return 2 * jnp.real(total)

    risk = bilinear(form.source, kept, kept) + 2 * bilinear(form.cross, kept, missed)
    return risk + bilinear(form.target, missed, missed) + bilinear(form.noise, fitted, fitted)
