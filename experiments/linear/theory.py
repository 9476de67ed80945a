"""The closed forms that a linear study's cells are compared with; inf where they have a pole.

`rows` of a phase diagram are (scratch, linear transfer, fine-tuning) exact and as published. Under a power-law
covariance the forms depend on the vectors themselves, so they are evaluated instance by instance.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.linear.setting import sample_counts
from tlx import _keys, theory
from tlx.linear import task as tasks
from tlx.linear.setting import LinearSetting

Rows = tuple[np.ndarray, np.ndarray]
Grid = tuple[np.ndarray, np.ndarray]


class Draws(NamedTuple):
    """Which pairs of vectors were drawn: the forms of a power law depend on the very vectors of each instance."""

    seed: int
    instances: int


def whole_ratio(setting: LinearSetting, ratios: np.ndarray) -> np.ndarray:
    """n / d as it is after rounding to whole samples."""
    return sample_counts(ratios, setting.dim) / setting.dim


def isotropic(setting: LinearSetting, grids: list[Grid]) -> list[Rows]:
    """Isotropic inputs: exact and published risks on each (theta, n/d) grid, with axes (method, theta, n/d).

    All grids are evaluated in one call: the forms are elementwise, and compiling them is what costs.
    """
    meshes = [np.meshgrid(theta, gamma, indexing="ij") for theta, gamma in grids]
    points = (np.concatenate([mesh[axis].ravel() for mesh in meshes]) for axis in (0, 1))
    rows = np.asarray(jax.jit(partial(_isotropic_rows, setting))(*points), float)  # one program, not one an operation
    found, ends = [], np.cumsum([mesh[0].size for mesh in meshes])
    for part, mesh in zip(np.split(rows, ends[:-1], axis=1), meshes, strict=True):
        one = part.reshape(4, *mesh[0].shape)
        found.append((one[:3], one[[0, 1, 3]]))
    return found


def _isotropic_rows(setting: LinearSetting, angle: jax.Array, gamma: jax.Array) -> jax.Array:
    """Scratch, linear transfer, fine-tuning and its published form at points (angle, n/d): (4, points)."""
    source = {"source_ratio": setting.source_ratio, "source_noise_std": setting.source_noise_std}
    norms = {"target_norm": setting.target_norm, "source_norm": setting.source_norm}
    scratch = theory.scratch_risk(gamma, setting.noise_std, target_norm=setting.target_norm, dim=setting.dim)
    linear = linear_transfer(setting, angle, gamma * setting.dim, setting.ridges[0])
    exact = partial(theory.fine_tuning_risk, angle, gamma, setting.noise_std, **norms, **source)
    tuned = exact(depth=setting.depth, dim=setting.dim)
    return jnp.stack([jnp.broadcast_to(r, angle.shape) for r in (scratch, linear, tuned, exact(published=True))])


def linear_transfer(setting: LinearSetting, angle, count, ridge) -> jax.Array:
    """Isotropic linear transfer at any ridge (in units of the features: scaled by their squared singular value)."""
    depth = setting.depth
    if depth == 1:
        return without_hidden_layer(setting, count / setting.dim, ridge)
    # the probe's feature is s^(L-1) u with s^L = |beta_pre|: a ridge on its coefficient acts on the unit feature
    # as ridge / s^(2L-2); at ridge 0 the scale does not matter
    norm = theory.pretrained_norm(setting.source_ratio, setting.source_noise_std, source_norm=setting.source_norm)
    return theory.linear_transfer_risk(
        angle,
        setting.noise_std,
        num_samples=count,
        ridge=ridge / norm ** (2 - 2 / depth),
        target_norm=setting.target_norm,
        source_ratio=setting.source_ratio,
        source_noise_std=setting.source_noise_std,
        source_norm=setting.source_norm,
        dim=None if setting.source_samples is None else setting.dim,  # it matters to a finite source alone
    )


def without_hidden_layer(setting: LinearSetting, gamma: jax.Array, ridge: jax.Array | float) -> jax.Array:
    """Linear transfer at depth 1: the features are the inputs, so it is ridge regression, blind to the source."""
    plain = theory.scratch_risk(gamma, setting.noise_std, target_norm=setting.target_norm, dim=setting.dim)
    penalised = theory.ridge_risk(gamma, setting.noise_std, ridge, target_norm=setting.target_norm)
    return jnp.where(jnp.asarray(ridge) == 0, plain, penalised)


def anisotropic(setting: LinearSetting, theta: np.ndarray, gamma: np.ndarray, draws: Draws) -> Rows:
    """Power-law inputs: axes (method, theta, n/d, instance), from the very vectors of each instance."""
    counts = gamma * setting.dim
    ridge = setting.ridges[0]

    def rows(instance, angle):
        spectrum = tasks.power_law_spectrum(setting.dim, setting.covariance_exponent)
        key = _keys.lane(jax.random.key(draws.seed), instance)
        pair = tasks.linear_pair(key, angle, spectrum, target_norm=setting.target_norm, source_norm=setting.source_norm)
        vectors = (spectrum, pair.target, pair.source, setting.noise_std)
        scratch = theory.covariance_scratch_risk(spectrum, pair.target, setting.noise_std, counts)
        linear = theory.covariance_linear_transfer_risk(*vectors, num_samples=counts, ridge=ridge)
        if setting.depth == 1:  # the features are the inputs
            linear = scratch if ridge == 0 else np.nan * scratch
        tuned = theory.covariance_fine_tuning_risk(*vectors, counts, depth=setting.depth)
        published = theory.covariance_fine_tuning_risk(*vectors, counts, published=True)
        return scratch, linear, tuned, published

    over_angles = jax.vmap(rows, in_axes=(None, 0))
    per_instance = jax.jit(lambda instance: over_angles(instance, np.asarray(theta)))
    found = [per_instance(i) for i in range(draws.instances)]  # each: four of (theta, n/d)
    stacked = [np.stack([np.asarray(f[row], float) for f in found], -1) for row in range(4)]
    return np.stack(stacked[:3]), np.stack([stacked[0], stacked[1], stacked[3]])


def phase_diagrams(setting: LinearSetting, grids: list[Grid], draws: Draws) -> list[Rows]:
    """(exact, published) risks on each (theta, n/d) grid, axes (method, theta, n/d, instance or 1).

    NaN where no closed form is known.
    """
    if setting.covariance_exponent == 0:
        return [(exact[..., None], published[..., None]) for exact, published in isotropic(setting, grids)]
    found = [anisotropic(setting, theta, gamma, draws) for theta, gamma in grids]
    if setting.source_samples is not None:  # no closed form for a finite source under a power law
        for exact, published in found:
            exact[1:], published[1:] = np.nan, np.nan
    return found


def ridge_curve(setting: LinearSetting, theta: np.ndarray, ratio: float) -> Grid:
    """Linear transfer at one n/d against the ridge: the ridges, and risks (theta, ridge).

    Isotropic inputs; NaN under a power law, where it depends on each instance's vectors.
    """
    top = max(setting.ridges)
    ridges = np.concatenate([[0.0], np.geomspace(top / 1e3, top, 40)]) if top > 0 else np.zeros(1)
    if setting.covariance_exponent != 0:
        return ridges, np.full((len(theta), len(ridges)), np.nan)
    angle, ridge = np.meshgrid(theta, ridges, indexing="ij")
    risk = jax.jit(partial(linear_transfer, setting))(angle, np.full(angle.shape, ratio * setting.dim), ridge)
    return ridges, np.asarray(risk, float)


def scratch(setting: LinearSetting, decays: np.ndarray, gamma: np.ndarray, draws: Draws) -> np.ndarray:
    """Risk of training from scratch with axes (weight_decay, n/d): exact at weight decay 0, d -> inf otherwise."""
    norm = {"target_norm": setting.target_norm}
    rows = []
    for decay in decays:
        if setting.covariance_exponent != 0:
            row = np.full(gamma.shape, np.nan)
            if decay == 0:
                row = phase_diagrams(setting, [(np.zeros(1), gamma)], draws)[0][0][0, 0].mean(-1)
        elif decay == 0:
            row = theory.scratch_risk(gamma, setting.noise_std, dim=setting.dim, **norm)
        else:
            row = theory.weight_decay_risk(gamma, setting.noise_std, decay, depth=setting.depth, **norm)
        rows.append(np.asarray(row, float))
    return np.stack(rows)


def optimal_ridge(setting: LinearSetting, gamma: np.ndarray) -> np.ndarray:
    """Risk at the best weight decay for every n/d (isotropic inputs; NaN otherwise)."""
    if setting.covariance_exponent != 0:
        return np.full(gamma.shape, np.nan)
    return np.asarray(theory.optimal_ridge_risk(gamma, setting.noise_std, target_norm=setting.target_norm))


def optimal_weight_decay(setting: LinearSetting, gamma: np.ndarray) -> np.ndarray:
    """The weight decay that amounts to the best ridge for every n/d (isotropic inputs; NaN otherwise).

    wd = 2 lambda |beta|^{2 - 2/L} at the best ridge lambda, where |beta|^2 = r^2 - R: the best estimate is a posterior
    mean, which is orthogonal to its error on average.
    """
    if setting.covariance_exponent != 0:
        return np.full(gamma.shape, np.nan)
    norm = {"target_norm": setting.target_norm}
    ridge = np.asarray(theory.optimal_ridge(gamma, setting.noise_std, **norm), float)
    square = np.maximum(setting.target_norm**2 - optimal_ridge(setting, gamma), 0.0)
    return np.where(square > 0, 2 * np.where(np.isfinite(ridge), ridge, 0.0) * square ** (1 - 1 / setting.depth), 0.0)
