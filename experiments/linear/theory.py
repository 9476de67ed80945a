"""The closed forms that a linear study's cells are compared with; inf where they have a pole.

`rows` of a phase diagram are the protocols of its setting, exact and as published; NaN where no form is known. Under a
power-law covariance the forms depend on the vectors themselves, so they are evaluated instance by instance.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.linear.setting import sample_counts
from tlx import keys, theory
from tlx.glossary import Protocol
from tlx.linear import task as tasks
from tlx.linear.setting import PROTOCOLS, LinearSetting
from tlx.train import Optimizer

Rows = tuple[np.ndarray, np.ndarray]
Grid = tuple[np.ndarray, np.ndarray]


class Case(NamedTuple):
    """A setting as the forms take it: depth and source ratio, static where networks are trained, may be traced here.

    One compiled program then serves every noise level, norm, depth and source size.
    """

    setting: LinearSetting
    depth: Any
    source_ratio: Any

    @property
    def source(self) -> dict[str, Any]:
        """The norms and the source, as the theory's functions call them."""
        return source_of(self.setting) | (
            {} if self.setting.source_samples is None else {"source_ratio": self.source_ratio}
        )


class Draws(NamedTuple):
    """Which pairs of vectors were drawn: the forms of a power law depend on the very vectors of each instance."""

    seed: int
    instances: int


def whole_ratio(setting: LinearSetting, ratios: np.ndarray) -> np.ndarray:
    """n / d as it is after rounding to whole samples."""
    return sample_counts(ratios, setting.dim) / setting.dim


def isotropic(setting: LinearSetting, grids: list[Grid]) -> list[Rows]:
    """Isotropic inputs: exact and published risks on each (theta, n/d) grid, with axes (protocol, theta, n/d).

    All grids are evaluated in one call: the forms are elementwise, and compiling them is what costs.
    """
    meshes = [np.meshgrid(theta, gamma, indexing="ij") for theta, gamma in grids]
    points = (np.concatenate([mesh[axis].ravel() for mesh in meshes]) for axis in (0, 1))
    clean = bool(np.all(np.asarray(setting.source_noise_std) == 0))  # its form is cheaper
    rows = np.asarray(_isotropic_rows(clean, traceable(setting), *points), float)
    found, ends = [], np.cumsum([mesh[0].size for mesh in meshes])
    count = len(setting.protocols)
    published = [count if p == Protocol.FINE_TUNING else i for i, p in enumerate(setting.protocols)]
    for part, mesh in zip(np.split(rows, ends[:-1], axis=1), meshes, strict=True):
        one = part.reshape(count + 1, *mesh[0].shape)
        found.append((one[:count], one[published]))
    return found


def source_of(setting: LinearSetting) -> dict[str, Any]:
    """The norms and the source of a setting, as the theory's functions call them."""
    return {
        "target_norm": setting.target_norm,
        "source_norm": setting.source_norm,
        "source_ratio": setting.source_ratio,
        "source_noise_std": setting.source_noise_std,
    }


def case_of(setting: LinearSetting) -> Case:
    """The case of a setting."""
    return Case(setting, setting.depth, setting.source_ratio)


def traceable(setting: LinearSetting) -> Case:
    """The case of a setting without static parts that the forms do not need, so that few programs serve many."""
    case, reduced = case_of(setting), setting
    if setting.trained_layers is None and setting.lora_rank is None:
        reduced = dataclasses.replace(reduced, depth=min(setting.depth, 2))  # one layer has forms of its own
    if setting.source_samples is not None:
        reduced = dataclasses.replace(reduced, source_samples=1)
    training = {name: Optimizer() for name in ("pretrain", "scratch", "fine_tune")}
    reduced = dataclasses.replace(reduced, **training, times=(), weight_decays=(0.0,), ridges=setting.ridges[:1])
    return case._replace(setting=reduced)


@partial(jax.jit, static_argnums=0)
def _isotropic_rows(clean: bool, case: Case, angle: jax.Array, gamma: jax.Array) -> jax.Array:
    """Every protocol of the setting, and fine-tuning as published, at points (angle, n/d): (protocols + 1, points)."""
    if clean:
        case = case._replace(setting=dataclasses.replace(case.setting, source_noise_std=0.0))
    exact = partial(theory.fine_tuning_risk, angle, gamma, case.setting.noise_std, **case.source)
    rows = [*(protocol_risk(p, case, angle, gamma) for p in case.setting.protocols), exact(published=True)]
    return jnp.stack([jnp.broadcast_to(row, angle.shape) for row in rows])


def protocol_risk(protocol: str, case: Case, angle: jax.Array, gamma: jax.Array) -> jax.Array:
    """Where one protocol ends, on isotropic inputs, at its first penalty."""
    setting = case.setting
    if protocol == Protocol.SCRATCH:
        return theory.scratch_risk(gamma, setting.noise_std, target_norm=setting.target_norm, dim=setting.dim)
    count = gamma * setting.dim
    if protocol == Protocol.LINEAR_TRANSFER:
        return linear_transfer(case, angle, count, setting.ridges[0])
    if protocol == Protocol.FINE_TUNING:
        return fine_tuning(case, angle, gamma)
    where = (angle, gamma, setting.noise_std, setting.penalties(protocol)[0])
    if protocol == Protocol.L2SP:
        return theory.l2sp_risk(*where, **case.source)
    if protocol == Protocol.SOURCE_RIDGE:
        return theory.source_ridge_risk(*where, num_samples=count, **case.source)
    return theory.layerwise_l2sp_risk(*where, depth=case.depth, **case.source)


def fine_tuning(case: Case, angle: jax.Array, gamma: jax.Array) -> jax.Array:
    """The end of fine-tuning, of whichever layers are trained; NaN where no form is known."""
    setting, layers = case.setting, case.setting.trained_layers
    if setting.batch_size is not None or (setting.lora_rank is not None and layers != (1,)):
        return jnp.full_like(angle, jnp.nan)
    if layers is not None and 1 not in layers:
        # the features stay: one layer above them fits the data, several cannot turn a sign
        fitted = linear_transfer(case, angle, gamma * setting.dim, 0.0)
        return fitted if len(layers) == 1 else jnp.full_like(fitted, jnp.nan)
    depth = case.depth if layers is None else len(layers)
    return theory.fine_tuning_risk(angle, gamma, setting.noise_std, depth=depth, dim=setting.dim, **case.source)


def linear_transfer(case: Case, angle, count, ridge) -> jax.Array:
    """Isotropic linear transfer at any ridge (in units of the features: scaled by their squared singular value)."""
    setting, source = case.setting, case.source
    if setting.depth == 1:
        return without_hidden_layer(setting, count / setting.dim, ridge)
    # the probe's feature is s^(L-1) u with s^L = |beta_pre|: a ridge on its coefficient acts on the unit feature
    # as ridge / s^(2L-2); at ridge 0 the scale does not matter
    norm = theory.pretrained_norm(source["source_ratio"], setting.source_noise_std, source_norm=setting.source_norm)
    dim = None if setting.source_samples is None else setting.dim  # it matters to a finite source alone
    ridge = ridge / norm ** (2 - 2 / case.depth)
    return theory.linear_transfer_risk(angle, setting.noise_std, num_samples=count, ridge=ridge, dim=dim, **source)


def without_hidden_layer(setting: LinearSetting, gamma: jax.Array, ridge: jax.Array | float) -> jax.Array:
    """Linear transfer at depth 1: the features are the inputs, so it is ridge regression, blind to the source."""
    plain = theory.scratch_risk(gamma, setting.noise_std, target_norm=setting.target_norm, dim=setting.dim)
    penalised = theory.ridge_risk(gamma, setting.noise_std, ridge, target_norm=setting.target_norm)
    return jnp.where(jnp.asarray(ridge) == 0, plain, penalised)


def anisotropic(setting: LinearSetting, theta: np.ndarray, gamma: np.ndarray, draws: Draws) -> Rows:
    """Power-law inputs: axes (protocol, theta, n/d, instance), from the very vectors of each instance."""
    counts = gamma * setting.dim
    ridge = setting.ridges[0]

    def rows(instance, angle):
        spectrum = tasks.power_law_spectrum(setting.dim, setting.covariance_exponent)
        key = keys.lane(jax.random.key(draws.seed), instance)
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
    names, unknown = list(PROTOCOLS), np.full_like(stacked[0], np.nan)
    exact = [stacked[names.index(p)] if p in names else unknown for p in setting.protocols]
    if setting.trained_layers is not None or setting.lora_rank is not None or setting.batch_size is not None:
        exact = [unknown if p == Protocol.FINE_TUNING else row for p, row in zip(setting.protocols, exact, strict=True)]
    published = [
        stacked[3] if p == Protocol.FINE_TUNING else row for p, row in zip(setting.protocols, exact, strict=True)
    ]
    return np.stack(exact), np.stack(published)


def phase_diagrams(setting: LinearSetting, grids: list[Grid], draws: Draws) -> list[Rows]:
    """(exact, published) risks on each (theta, n/d) grid, axes (protocol, theta, n/d, instance or 1).

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
    risk = jax.jit(partial(linear_transfer, case_of(setting)))(angle, np.full(angle.shape, ratio * setting.dim), ridge)
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
