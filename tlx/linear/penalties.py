"""Squared losses with a penalty that knows the pretrained predictor, as squared losses of other moments.

(1/n)|X beta - y|^2 + k |beta - beta_0|^2 is the squared loss with covariance A + k I and cross moments b + k beta_0, so
whatever trains on moments trains on it: full networks, chains, and the end of gradient flow.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx.linear.chain import Modes
from tlx.linear.data import Moments


def pulled_moments(sample: Moments, centre: Float[Array, " d"], penalty: Float[Array, ""]) -> Moments:
    """The moments of loss + penalty * |beta - centre|^2."""
    identity = jnp.eye(centre.shape[0], dtype=centre.dtype)
    return sample._replace(
        covariance=sample.covariance + penalty * identity,
        cross=sample.cross + penalty * centre,
        label_power=sample.label_power + penalty * (centre @ centre),
    )


def pulled_modes(modes: Modes, centre: Float[Array, " d"], penalty: Float[Array, ""]) -> Modes:
    """The same in the eigenbasis, `centre` given in it: the basis stays."""
    power = modes.label_power + penalty * (centre @ centre)
    return Modes(modes.eigenvalues + penalty, modes.cross + penalty * centre, power)


def source_ridge(modes: Modes, centre: Float[Array, " d"], ridge: Float[Array, ""]) -> Float[Array, " d"]:
    """argmin of loss + ridge * |beta - (beta.p) p|^2, p = centre / |centre|, in the eigenbasis; O(d).

    (A + k I - k p p^T) beta = b by the rank-one formula: with M = (A + k)^{-1},
    beta = M b + M p (p.M b) k / (1 - k p.M p),  and  1 - k p.M p = sum_j p_j^2 lambda_j / (lambda_j + k) > 0.

    Valid for ridge > 0 and a sample that sees p; -> linear transfer on the source as ridge -> inf.
    """
    norm = jnp.linalg.norm(centre)
    unit = centre / jnp.where(norm > 0, norm, 1)
    inverse = 1 / (modes.eigenvalues + ridge)
    fit, spared = inverse * modes.cross, inverse * unit
    seen = unit @ (modes.eigenvalues * spared)
    share = ridge * (unit @ fit) / jnp.where(seen > 0, seen, 1)
    return fit + jnp.where(seen > 0, share, 0) * spared
