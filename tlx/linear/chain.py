"""Gradient descent of a deep linear network in the eigenbasis of its data: d + 1 numbers instead of L d^2.

A balanced rank-one chain W_1 = u v_1^T, W_l = s v_{l-1} v_l^T, w_L = s v_{L-1} stays one under full-batch gradient
descent, with momentum and weight decay, in discrete time: every gradient is again of that form with the same v_l.
In the eigenbasis of A = X^T X / n, A = diag(lambda), the loss of beta = u s^{L-1} is sum_j lambda_j beta_j^2
- 2 b_j beta_j + c, and a step costs a few operations per eigenvalue. The L-1 equal scalars are stored as one,
rest = sqrt(L-1) s: an isometry, so that step sizes, weight norms and the stopping rule mean what they mean for
the full network, and `tlx.train.train` runs both. One decomposition serves every start, step size and decay.

The full network at init_scale alpha follows this limit with a relative error O(alpha) from scratch (what a random
start leaves in the null space of the data) and O(alpha^2) in fine-tuning after pretraining. Elementwise-adaptive rules
(Adam) and wide-open starts do not keep the chain: use engine=full for them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from tlx import linalg
from tlx._checks import check_positive, check_range, require
from tlx.linear.data import Moments
from tlx.networks import deep_linear
from tlx.train import Optimizer, TrainResult, train

WIDE_OPEN = 1e-2  # init_scale of a random start beyond which a scratch predictor is off by more than a percent
ESCAPE_PREDICTOR = 1e-3  # |beta| at which time starts to count for depth >= 3, see `plateau_start`


class Modes(NamedTuple):
    """A squared loss on linear predictors, in the eigenbasis of its covariance: all that a step needs.

    Attributes:
        eigenvalues: lambda of A = X^T X / n, ascending, shape (d,); exactly zero on the null space of a sample.
        cross: b = X^T y / n in the eigenbasis, shape (d,); exactly zero on the null space.
        label_power: c = |y|^2 / n.
    """

    eigenvalues: Float[Array, " d"]
    cross: Float[Array, " d"]
    label_power: Float[Array, ""]


class Decomposition(NamedTuple):
    """A data set in its eigenbasis: basis (d, d), columns the eigenvectors of X^T X / n, and the modes."""

    basis: Float[Array, "d d"]
    modes: Modes


class Chain(NamedTuple):
    """A rank-one chain of layers 2..L of equal norm.

    Attributes:
        first: u, shape (d,): the first layer is u v_1^T.
        rest: sqrt(L-1) s, the Frobenius norm of layers 2..L together (0 at depth 1).
    """

    first: Float[Array, " d"]
    rest: Float[Array, ""]


def decompose(data: Moments) -> Decomposition:
    """The eigenbasis of a sample's covariance and its cross moments there; about 13 ms at d = 500 on one core.

    A sample of n < d rows has d - n eigenvalues that are zero; rounding leaves about eps * max(lambda) in them
    and in b, which would drift under training. They are zeroed by count, not by a threshold: near n = d true
    eigenvalues, of size 1/d^2, lie below any threshold that would catch the rounding of the false ones.
    """
    eigenvalues, basis = linalg.eigh(data.covariance)
    (dim,) = eigenvalues.shape
    null = jnp.arange(dim, dtype=data.num_samples.dtype) < dim - data.num_samples
    eigenvalues = jnp.where(null, 0, jnp.maximum(eigenvalues, 0))
    cross = jnp.where(null, 0, basis.T @ data.cross)
    return Decomposition(basis, Modes(eigenvalues, cross, data.label_power))


def population_modes(task: Float[Array, " d"], spectrum: Float[Array, " d"], noise_std: float | Array = 0.0) -> Modes:
    """The modes of a whole distribution with covariance diag(spectrum): its eigenbasis is the coordinate basis."""
    cross = spectrum * task
    return Modes(spectrum, cross, task @ cross + jnp.asarray(noise_std, task.dtype) ** 2)


def with_task(noise: Decomposition, task: Float[Array, " d"]) -> Modes:
    """The modes of labels X task + noise, from the decomposition of a sample with task 0 (labels = noise alone).

    b = A task + b_noise, so one decomposition of the inputs serves every task on them.
    """
    values, noise_cross, noise_power = noise.modes
    turned = noise.basis.T @ task
    power = turned @ (values * turned) + 2 * (turned @ noise_cross) + noise_power
    return Modes(values, values * turned + noise_cross, power)


def resolved(modes: Modes) -> Bool[Array, " d"]:
    """Eigenvalues that the precision can tell from zero: above 4 eps times the largest."""
    return modes.eigenvalues > 4 * jnp.finfo(modes.eigenvalues.dtype).eps * jnp.max(modes.eigenvalues)


def predictor(chain: Chain, depth: int) -> Float[Array, " d"]:
    """beta = u s^{L-1}."""
    return chain.first * layer_norm(chain, depth) ** (depth - 1)


def layer_norm(chain: Chain, depth: int) -> Float[Array, ""]:
    """s, the norm of each of layers 2..L (0 at depth 1, which has none)."""
    return chain.rest / math.sqrt(max(depth - 1, 1))


def squared_loss(chain: Chain, modes: Modes, depth: int) -> Float[Array, ""]:
    """(1/n)|X beta - y|^2 = sum_j lambda_j beta_j^2 - 2 b_j beta_j + c."""
    beta = predictor(chain, depth)
    return beta @ (modes.eigenvalues * beta) - 2 * (modes.cross @ beta) + modes.label_power


def turned(chain: Chain, rotation: Float[Array, "d d"]) -> Chain:
    """The chain with its first layer in another basis, u -> rotation @ u."""
    return Chain(rotation @ chain.first, chain.rest)


def balanced(beta: Float[Array, " d"], depth: int) -> Chain:
    """The balanced chain that computes `beta`: |u| = s = |beta|^{1/L}, where gradient flow from alpha -> 0 ends."""
    norm = jnp.linalg.norm(beta)
    scale = norm ** (1 / depth)
    return Chain(beta * (scale / jnp.where(norm > 0, norm, 1)), math.sqrt(depth - 1) * scale)


def reduced(weights: deep_linear.Weights) -> Chain:
    """The chain of a full network that is one up to O(alpha): its predictor, and its mean norm of layers 2..L."""
    depth = len(weights)
    beta = deep_linear.predictor(weights)
    if depth == 1:
        return Chain(beta, jnp.zeros((), beta.dtype))
    scale = jnp.exp(jnp.mean(jnp.log(deep_linear.layer_norms(weights)[1:])))
    return Chain(beta / scale ** (depth - 1), math.sqrt(depth - 1) * scale)


def growing_mode(weights: deep_linear.Weights, cross: Float[Array, " d"]) -> Chain:
    """The part of a small random two-layer start that leaves the saddle at zero: u = a b/|b|, s = a.

    Near zero the steps are W_1 += 2 eta b w_2^T, w_2 += 2 eta W_1^T b: with p = W_1^T b/|b|, the mode p + w_2
    grows by 1 + 2 eta |b| a step and p - w_2 shrinks (momentum and weight decay act on both alike), so all that is
    left of the start when it has grown is a = |p + w_2| / 2 along b. Of a random start a is about alpha/sqrt(2).
    A relative error e in a shifts the plateau by e / (2 eta |b|) steps and changes nothing else.

    Args:
        weights: (W_1, w_2) of the full network, of size alpha -> 0.
        cross: b = X^T y / n in the coordinates of the weights (the chain comes back in the same).
    """
    require(len(weights) == 2, f"depth = {len(weights)} has no growing mode at zero; use plateau_start.")
    norm = jnp.linalg.norm(cross)
    direction = cross / jnp.where(norm > 0, norm, 1)
    amplitude = jnp.linalg.norm(direction @ weights[0] + weights[1]) / 2
    return Chain(amplitude * direction, amplitude)


def plateau_start(cross: Float[Array, " d"], depth: int, init_scale: float | Array) -> Chain:
    """The balanced chain along b at which time starts to count for depth >= 3: |beta| = max(alpha^L, 1e-3).

    At depth >= 3 the saddle at zero is degenerate: a start of size alpha leaves it, along b, only after about
    alpha^{2-L} / |b| units of time (10^5 / |b| at depth 3, alpha = 1e-5), while nothing else happens. That wait is
    left out. The endpoint does not depend on it: a chain along b lies in the row space of X, where there is one
    interpolator (or one least-squares fit).
    """
    check_positive("init_scale", init_scale)
    norm = jnp.linalg.norm(cross)
    scale = jnp.maximum(jnp.asarray(init_scale, cross.dtype), ESCAPE_PREDICTOR ** (1 / depth))
    return Chain(cross * (scale / jnp.where(norm > 0, norm, 1)), math.sqrt(depth - 1) * scale)


def check_rule(optimizer: Optimizer) -> None:
    """Refuse a rule that does not keep a rank-one chain."""
    require(
        optimizer.name == "gradient_descent",
        f"optimizer.name = {optimizer.name!r} adapts each weight by itself and does not keep the rank-one chain that "
        "engine=spectral and engine=flow follow; use engine=full, or optimizer.name=gradient_descent.",
    )


def check_start(init_scale: float | Array, depth: int) -> None:
    """Refuse a random start too large to be a rank-one chain after it has left the saddle: above 1e-2, and at
    depth >= 3 (where a smaller one never leaves) above the scale at which `plateau_start` begins to count."""
    check_range(
        "init_scale",
        init_scale,
        0.0,
        WIDE_OPEN if depth <= 2 else ESCAPE_PREDICTOR ** (1 / depth),
        open_low=True,
        remedy="engine=spectral and engine=flow follow the limit init_scale -> 0, and a start this large is not near "
        "it; use engine=full, or a smaller network.init_scale.",
    )


def descend(
    modes: Modes,
    start: Chain,
    depth: int,
    optimizer: Optimizer,
    *,
    observe: Callable[[Chain], PyTree] | None = None,
    record_at: tuple[int, ...] | Int[Array, " t"] = (),
    step_loss: Callable[[Chain, Array], Array] | None = None,
    anchor: tuple[Chain, Array] | None = None,
) -> TrainResult:
    """Train a rank-one chain by gradient descent on one data set: `tlx.train.train` of the full network, cheaply.

    Args:
        modes: the data, from `decompose`, `with_task` or `population_modes`.
        start: in the basis of the modes.
        depth: L >= 1 (static).
        optimizer: gradient descent, with any momentum and weight decay.
        observe, record_at, step_loss: as in `tlx.train.train`.
        anchor: (chain c, wd) adds (wd/2) (|u - c.u|^2 + |rest - c.rest|^2), weight decay towards c instead of zero.

    Returns:
        A `TrainResult` whose params are a `Chain` in the basis of the modes. Valid for any start that is a chain of
        equal layers 2..L, balanced with the first or not.
    """
    check_rule(optimizer)

    def loss(chain):
        value = squared_loss(chain, modes, depth)
        return value if anchor is None else value + anchored(chain, *anchor)

    return train(loss, start, optimizer, observe=observe, record_at=record_at, step_loss=step_loss)


def anchored(weights: PyTree, anchor: PyTree, decay: Float[Array, ""]) -> Float[Array, ""]:
    """(decay/2) |weights - anchor|^2 over all weights of any pytree."""
    return decay / 2 * sum(jnp.sum((w - a) ** 2) for w, a in zip(weights, anchor, strict=True))
