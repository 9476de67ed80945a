"""What a data set does to training as d -> inf: eigenvalues of X^T X/n, and how much of each vector lies at each.

A balanced rank-one chain is u = alpha u_0 + phi X^T y/n mode by mode, beta = k u, k = s^{L-1}. Sums over modes become
sums over a few nodes l with weights, real for isotropic inputs (Marchenko-Pastur law), complex on a contour else.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

_NODES = 96
_PLACE = np.pi * (np.arange(_NODES) + 0.5) / _NODES  # w; in double precision, for the angles are as small as 1e-6
_ANGLE = _PLACE - np.sin(_PLACE)


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

    In the angle of l = 1 + G - 2 sqrt(G) cos(angle), G = 1/g, the law is (2/pi) sin^2(angle)/l. With
    angle = w - sin(w) the integrand stays even and periodic in w, so that the midpoint rule converges exponentially,
    and the nodes are dense at the small eigenvalues that n = d has: the pole at |log G|/2 off the axis of angles lies
    at about (6 |log G|/2)^{1/3}/2 off that of w. The last node is the atom max(1 - g, 0) at l = 0.
    """
    inverse = 1 / sample_ratio
    root = jnp.sqrt(inverse)
    half, whole, density = (
        jnp.asarray(array, sample_ratio.dtype)
        for array in (np.sin(_ANGLE / 2) ** 2, np.sin(_ANGLE) ** 2, 1 - np.cos(_PLACE))
    )
    nodes = (1 - root) ** 2 + 4 * root * half  # without cancellation near g = 1
    weights = 2 / _NODES * density * whole / nodes
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
