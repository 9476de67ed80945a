"""Deep linear networks f(x) = x^T W_1 W_2 ... w_L, the setting of Section 3.

Weights are a tuple (W_1, ..., W_{L-1}, w_L): W_1 is (d, w), the middle ones (w, w), the last one a vector (w,).
Depth 1 is the single vector (w_1,) of shape (d,). The network's predictor is the product, beta, of shape (d,).
"""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx import _keys
from tlx._checks import check_count, check_nonnegative

Weights = tuple[Array, ...]


def shapes(dim: int, width: int, depth: int) -> tuple[tuple[int, ...], ...]:
    """The weight shapes, first layer first."""
    check_count("dim", dim)
    check_count("depth", depth, remedy="Depth counts weight layers; depth 1 is linear regression.")
    check_count("width", width)
    sizes = (dim, *(width,) * (depth - 1))
    return (*((sizes[layer], sizes[layer + 1]) for layer in range(depth - 1)), (sizes[-1],))


def random_start(key: Array, *, dim: int, width: int, depth: int, init_scale: float | Array) -> Weights:
    """Independent Gaussian weights, W_l = init_scale * N(0, 1) / sqrt(fan_in).

    init_scale -> 0 is the feature-learning regime; every layer then starts with the same Frobenius norm per
    column, init_scale, so the conserved imbalance W_l^T W_l - W_{l+1} W_{l+1}^T is O(init_scale^2). (The
    released program does not divide the last layer by sqrt(width).)
    """
    check_nonnegative("init_scale", init_scale)
    keys = jax.random.split(key, depth)
    return tuple(
        init_scale * jax.random.normal(k, shape) / jnp.sqrt(shape[0])
        for k, shape in zip(keys, shapes(dim, width, depth), strict=True)
    )


def balanced(key: Array, predictor: Float[Array, " d"], *, width: int, depth: int) -> Weights:
    """The balanced rank-one chain that computes `predictor`: W_1 = u v_1^T, W_l = s v_{l-1} v_l^T, w_L = s v_{L-1}.

    Here |u| = s = |predictor|^{1/L}, so all layers have the same norm, and the v_l are random unit vectors. This
    is where pretraining by gradient flow from init_scale -> 0 ends (Theorem 3.4), for any predictor it learns.
    """
    (dim,) = predictor.shape
    layers = shapes(dim, width, depth)
    norm = jnp.linalg.norm(predictor)
    scale = norm ** (1 / depth)
    units = [jax.random.normal(k, (width,)) for k in jax.random.split(key, max(depth - 1, 1))]
    units = [unit / jnp.linalg.norm(unit) for unit in units]
    chain = [predictor / jnp.where(norm > 0, norm, 1), *units]
    return tuple(
        scale * (jnp.outer(chain[i], chain[i + 1]) if len(shape) == 2 else chain[i]) for i, shape in enumerate(layers)
    )


def balanced_start(key: Array, *, dim: int, width: int, depth: int, init_scale: float | Array) -> Weights:
    """A balanced rank-one chain in a random direction with every layer norm equal to init_scale."""
    check_nonnegative("init_scale", init_scale)
    direction = jax.random.normal(_keys.named(key, "direction"), (dim,))
    direction = direction / jnp.linalg.norm(direction)
    return balanced(_keys.named(key, "chain"), init_scale**depth * direction, width=width, depth=depth)


def predictor(weights: Weights) -> Float[Array, " d"]:
    """The end-to-end vector beta = W_1 (W_2 (... w_L)).

    Evaluated from the right, so only matrix-vector products occur: O(L w^2) where the usual order costs
    O(n w^2). The gradient is the same.
    """
    product = weights[-1]
    for weight in reversed(weights[:-1]):
        product = weight @ product
    return product


def features(weights: Weights) -> Float[Array, "d w"]:
    """The feature map x -> x^T W_1 ... W_{L-1} as a matrix (d, w); depth 1 has the inputs themselves, I_d."""
    if len(weights) == 1:
        return jnp.eye(weights[0].shape[0], dtype=weights[0].dtype)
    product = weights[0]
    for weight in weights[1:-1]:
        product = product @ weight
    return product


def imbalance(weights: Weights) -> Float[Array, " depth_minus_1"]:
    """|W_l^T W_l - W_{l+1} W_{l+1}^T|_F for each pair of neighbouring layers; gradient flow conserves the matrices."""
    columns = [w if w.ndim == 2 else w[:, None] for w in weights]
    return jnp.asarray([jnp.linalg.norm(a.T @ a - b @ b.T) for a, b in itertools.pairwise(columns)])


def layer_norms(weights: Weights) -> Float[Array, " depth"]:
    """Frobenius norm of every layer."""
    return jnp.stack([jnp.linalg.norm(w) for w in weights])
