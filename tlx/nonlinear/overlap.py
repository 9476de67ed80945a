"""How much of a target lies in a network's learned feature space: |P f_t|^2 / |f_t|^2, for any network and target.

Everything follows from second moments over x ~ N(0, I_d): K = E[phi phi^T], k = E[phi f_t], p = E[f_t^2]. With
K = U diag(lambda) U^T, the projector on the features whose eigenvalue exceeds cutoff * lambda_max captures
sum_{kept} (u_i.k)^2 / lambda_i. The cut-off is part of the answer: features that never trained are in the span, but
their eigenvalues are so small that no learner reaches them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import linalg
from tlx._checks import check_count, check_nonnegative, check_range, require
from tlx.kernels import closed_form
from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer

NUM_BLOCKS = 20  # blocks of a sampled overlap, for the jackknife
BLOCK_ROWS = 500  # inputs held at once


class FeatureMoments(NamedTuple):
    """Population second moments of features and target.

    Attributes:
        covariance: K = E[phi phi^T], shape (m, m).
        cross: k = E[phi f_t], shape (m,).
        power: E[f_t^2].
    """

    covariance: Float[Array, "m m"]
    cross: Float[Array, " m"]
    power: Float[Array, ""]


class Overlap(NamedTuple):
    """The overlap at each cut-off, then at each ridge.

    Attributes:
        overlap: |P f_t|^2 / |f_t|^2, one entry per cut-off and ridge, shape (c,).
        standard_error: of each entry; 0 where the moments are exact.
        num_features: features kept at each entry (a ridge: effective number sum lambda_i/(lambda_i + ridge)).
        eigenvalues: lambda of K, descending, shape (m,).
    """

    overlap: Float[Array, " c"]
    standard_error: Float[Array, " c"]
    num_features: Float[Array, " c"]
    eigenvalues: Float[Array, " m"]


class LearnedBasis(NamedTuple):
    """Population eigenfeatures of a network, ascending in eigenvalue.

    Attributes:
        eigenvalues: lambda_i >= 0, shape (m,).
        directions: u_i as columns, shape (m, m).
        components: u_i . k, shape (m,).
        power: E[f_t^2].
    """

    eigenvalues: Float[Array, " m"]
    directions: Float[Array, "m m"]
    components: Float[Array, " m"]
    power: Float[Array, ""]


def exact_moments(network: TwoLayer, target: TwoLayer, activation: str) -> FeatureMoments:
    """Moments of the features phi(w_i.x)/sqrt(m) of a two-layer network, in closed form."""
    gram = closed_form(activation).gram
    scale = jnp.sqrt(network.neurons.shape[0]).astype(network.neurons.dtype)
    covariance = gram(network.neurons, network.neurons) / scale**2
    cross = gram(network.neurons, target.neurons) @ target.coefficients / scale
    return FeatureMoments(covariance, cross, mean_field.inner_product(target, target, activation))


def sampled_moments(
    key: Array, features: Callable, target: Callable, draw_inputs: Callable, *, num_samples: int
) -> FeatureMoments:
    """Moments from fresh samples, one estimate per block: every leaf has a leading axis of NUM_BLOCKS blocks."""
    check_count("num_samples", num_samples, NUM_BLOCKS, remedy=f"The standard error needs {NUM_BLOCKS} blocks.")
    parts = max(1, round(num_samples / NUM_BLOCKS / BLOCK_ROWS))
    rows = -(-num_samples // (NUM_BLOCKS * parts))

    def part(part_key):
        inputs = draw_inputs(part_key, rows)
        values, labels = features(inputs), target(inputs)
        return FeatureMoments(values.T @ values / rows, values.T @ labels / rows, labels @ labels / rows)

    def block(block_key):
        first, *rest = jax.random.split(block_key, parts)
        sums = part(first)
        if rest:
            add = jax.tree_util.Partial(jax.tree.map, jnp.add)
            sums = jax.lax.fori_loop(0, parts - 1, lambda i, s: add(s, part(jnp.stack(rest)[i])), sums)
        return jax.tree.map(lambda total: total / parts, sums)

    return jax.lax.map(block, jax.random.split(key, NUM_BLOCKS))


def learned_basis(moments: FeatureMoments) -> LearnedBasis:
    """Eigenfeatures of K; eigenvalues that rounding makes negative are 0."""
    eigenvalues, directions = linalg.eigh(moments.covariance)
    return LearnedBasis(jnp.maximum(eigenvalues, 0), directions, moments.cross @ directions, moments.power)


def kept(basis: LearnedBasis, cutoff: float | Array) -> Array:
    """Which eigenfeatures exceed cutoff * lambda_max, as a mask (m,); a network at zero keeps none."""
    return basis.eigenvalues > cutoff * basis.eigenvalues[-1]


def cutoff_overlap(basis: LearnedBasis, cutoff: float | Array) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """|P f_t|^2/|f_t|^2 on the features above the cut-off, and how many there are."""
    mask = kept(basis, cutoff)
    captured = jnp.where(mask, basis.components**2 / jnp.where(mask, basis.eigenvalues, 1), 0)
    return jnp.sum(captured) / basis.power, jnp.sum(mask)


def ridge_overlap(basis: LearnedBasis, ridge: float | Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """1 - (risk of ridge regression on infinite data)/|f_t|^2, and the effective number of features.

    The fit is c = (K + ridge)^{-1} k, so 1 - risk/|f_t|^2 = sum_i (u_i.k)^2 (lambda_i + 2 ridge)/(lambda_i + ridge)^2.
    """
    shifted = basis.eigenvalues + ridge
    safe = jnp.where(shifted > 0, shifted, 1)
    captured = basis.components**2 * (basis.eigenvalues + 2 * ridge) / safe**2
    captured = jnp.where(shifted > 0, captured, 0)
    return jnp.sum(captured) / basis.power, jnp.sum(basis.eigenvalues / safe)


def feature_overlap(
    network: TwoLayer | Callable[[Array], Array],
    target: TwoLayer | Callable[[Array], Array],
    *,
    cutoffs: tuple[float, ...] = (1e-3,),
    ridges: tuple[float, ...] = (),
    activation: str | None = None,
    key: Array | None = None,
    dim: int | None = None,
    draw_inputs: Callable[[Array, int], Array] | None = None,
    num_samples: int = 20_000,
) -> Overlap:
    """The share |P f_t|^2/|f_t|^2 of a target's energy in a network's learned feature space, x ~ N(0, I_d).

    Exact for two `TwoLayer` networks of activation "relu", "erf" or "linear"; for anything else pass functions
    and it is estimated from `num_samples` fresh inputs, corrected for its bias and with a standard error (both by
    the jackknife over 20 blocks). Sampled values need many more samples than features.

    Args:
        network: a `TwoLayer`, or the features, a function (n, d) -> (n, m).
        target: a `TwoLayer`, or the target, a function (n, d) -> (n,).
        cutoffs: eigenvalue cut-offs relative to the largest, each in [0, 1). 0 is the whole span, which float32
            resolves only down to about 1e-6.
        ridges: each >= 0, in units of K's entries (features phi(w.x)/sqrt(m) of a `TwoLayer`); see `ridge_overlap`.
        activation: of `TwoLayer` arguments.
        key, dim, num_samples: of the sample, where one is drawn.
        draw_inputs: (key, number of rows) -> inputs; None is N(0, I_dim).
    """
    for cutoff in cutoffs:
        check_range("cutoff", cutoff, 0.0, 1 - 1e-9, remedy="It is relative to the largest eigenvalue: [0, 1).")
    check_nonnegative("ridges", ridges)
    require(len(cutoffs) + len(ridges) > 0, "no cut-off and no ridge asked for; pass cutoffs=(1e-3,), say.")
    exact = isinstance(network, TwoLayer) and isinstance(target, TwoLayer)
    if exact:
        require(activation is not None, "activation = None; name it: 'relu', 'erf' or 'linear'.")
        values, counts, eigenvalues = _all(exact_moments(network, target, activation), cutoffs, ridges)
        return Overlap(values, jnp.zeros_like(values), counts, eigenvalues)
    require(
        callable(network) and callable(target) and key is not None and (dim or draw_inputs) is not None,
        "a sampled overlap needs functions x -> features and x -> target, a key and a dim (or draw_inputs); "
        "two TwoLayer networks need none of these.",
    )
    gaussian = draw_inputs or (lambda part_key, rows: jax.random.normal(part_key, (rows, dim)))
    blocks = sampled_moments(key, network, target, gaussian, num_samples=num_samples)
    return _jackknife(blocks, cutoffs, ridges)


def _all(moments: FeatureMoments, cutoffs: tuple, ridges: tuple) -> tuple[Array, Array, Array]:
    basis = learned_basis(moments)
    pairs = [cutoff_overlap(basis, c) for c in cutoffs] + [ridge_overlap(basis, r) for r in ridges]
    values, counts = (
        jnp.stack([jnp.asarray(v, basis.power.dtype) for v in column]) for column in zip(*pairs, strict=True)
    )
    return values, counts, basis.eigenvalues[::-1]


def _jackknife(blocks: FeatureMoments, cutoffs: tuple, ridges: tuple) -> Overlap:
    whole = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), blocks)
    values, counts, eigenvalues = _all(whole, cutoffs, ridges)

    def without(block):
        return _all(jax.tree.map(lambda w, b: (NUM_BLOCKS * w - b) / (NUM_BLOCKS - 1), whole, block), cutoffs, ridges)[
            0
        ]

    partial = jax.lax.map(without, blocks)
    mean = jnp.mean(partial, axis=0)
    spread = jnp.sum((partial - mean[None, :]) ** 2, axis=0)
    standard_error = jnp.sqrt((NUM_BLOCKS - 1) / NUM_BLOCKS * spread)
    return Overlap(values - (NUM_BLOCKS - 1) * (mean - values), standard_error, counts, eigenvalues)
