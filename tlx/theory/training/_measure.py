"""What a data set does to training as d -> inf: eigenvalues of X^T X/n, and how much of each vector lies at each.

A balanced rank-one chain is u = alpha u_0 + phi X^T y/n mode by mode, beta = k u, k = s^{L-1}. Sums over modes become
sums over a few nodes l with weights, real for isotropic inputs (Marchenko-Pastur law), complex on a contour else.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Inexact

_NODES = 96


class Measure(NamedTuple):
    """Nodes and the weights of four spectral measures: sum_k f(l_k) source_k = u_0^T f(A) u_0, and so on.

    Attributes:
        nodes: l, eigenvalues of A = X^T X/n.
        source: of (u_0, u_0), the first layer's starting vector.
        cross: of (u_0, beta_t).
        target: of (beta_t, beta_t).
        noise: sigma^2/n times the trace: X^T eps/n has energy sum_k f(l_k) l_k noise_k.
    """

    nodes: Inexact[Array, " k"]
    source: Inexact[Array, " k"]
    cross: Inexact[Array, " k"]
    target: Inexact[Array, " k"]
    noise: Inexact[Array, " k"]

    def label_square(self) -> Array:
        """|b|^2 of b = X^T y/n."""
        return jnp.real(jnp.sum(self.nodes * (self.nodes * self.target + self.noise)))

    def square(self, alpha: Array, phi: Array) -> Array:
        """|u|^2 of u = alpha u_0 + phi b."""
        pulled = phi * self.nodes
        terms = alpha * (alpha * self.source + 2 * pulled * self.cross) + phi * pulled * self._labels()
        return jnp.real(jnp.sum(terms))

    def product(self, alpha: Array, phi: Array, other_alpha: Array, other_phi: Array) -> Array:
        """<u, u'> of two such vectors."""
        mixed = (alpha * other_phi + phi * other_alpha) * self.nodes
        terms = alpha * other_alpha * self.source + mixed * self.cross + phi * other_phi * self.nodes * self._labels()
        return jnp.real(jnp.sum(terms))

    def _labels(self) -> Array:
        return self.nodes * self.target + self.noise


def marchenko_pastur(sample_ratio: Array) -> tuple[Array, Array]:
    """Nodes and weights for the d eigenvalues of X^T X/n, x ~ N(0, I_d), as d -> inf at g = n/d.

    In the angle of l = 1 + G - 2 sqrt(G) cos(angle), G = 1/g, the law is (2/pi) sin^2(angle)/l, and the midpoint rule
    converges like min(g, 1/g)^nodes. The last node is the atom max(1 - g, 0) at l = 0.
    """
    inverse = 1 / sample_ratio
    angle = jnp.pi * (jnp.arange(_NODES, dtype=sample_ratio.dtype) + 0.5) / _NODES
    root = jnp.sqrt(inverse)
    nodes = (1 - root) ** 2 + 4 * root * jnp.sin(angle / 2) ** 2  # without cancellation near g = 1
    weights = 2 / _NODES * jnp.sin(angle) ** 2 / nodes
    atom = jnp.maximum(1 - sample_ratio, 0.0)
    return jnp.append(nodes, 0.0), jnp.append(weights, atom)


def isotropic(sample_ratio: Array, noise_std: Array, target_norm: Array, start_norm: Array, overlap: Array) -> Measure:
    """The measures of isotropic inputs: all vectors are spread alike over the Marchenko-Pastur law.

    Args:
        sample_ratio: g.
        noise_std: sigma.
        target_norm: r.
        start_norm: |u_0| (0 for a start from scratch).
        overlap: <u_0, beta_t>.
    """
    nodes, weights = marchenko_pastur(sample_ratio)
    energies = start_norm**2, overlap, target_norm**2, noise_std**2 / sample_ratio
    return Measure(nodes, *(energy * weights for energy in energies))


def excess_risk(measure: Measure, alpha: Array, phi: Array, scale: Array) -> Array:
    """R = |k u - beta_t|^2 for isotropic inputs, at u = alpha u_0 + phi b and scale k."""
    missed, kept = scale * phi * measure.nodes - 1, scale * alpha
    terms = kept * (kept * measure.source + 2 * missed * measure.cross) + missed**2 * measure.target
    return jnp.sum(terms + (scale * phi) ** 2 * measure.nodes * measure.noise)
