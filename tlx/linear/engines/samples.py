"""What engines `spectral` and `flow` share: the data sets that engine `full` would draw, decomposed once."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx import _keys
from tlx.linear import chain as spectral
from tlx.linear import data
from tlx.linear import task as tasks
from tlx.linear.chain import Chain, Decomposition, Modes
from tlx.linear.data import Moments
from tlx.linear.probe import LinearProbe, linear_transfer
from tlx.linear.setting import LinearSetting
from tlx.networks import deep_linear


class Samples(NamedTuple):
    """One target data set and, with a finite source, the source inputs that serve every angle.

    Attributes:
        key: of the instance.
        own: key of this target data set.
        spectrum: input covariance eigenvalues.
        target: beta_t.
        moments, decomposition: of the target sample.
        source: decomposition of the source sample with labels that are noise alone; None for the population.
    """

    key: Array
    own: Array
    spectrum: Float[Array, " d"]
    target: Float[Array, " d"]
    moments: Moments
    decomposition: Decomposition
    source: Decomposition | None


def draw(setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int) -> Samples:
    """The samples that `tlx.linear.engines.full` trains on for the same key, and their eigenbases."""
    spectrum = tasks.power_law_spectrum(setting.dim, setting.covariance_exponent)
    target = tasks.linear_pair(key, 0.0, spectrum, target_norm=setting.target_norm).target
    own = _keys.lane(_keys.named(key, "data set"), num_samples)
    moments = data.sample_moments(_keys.named(own, "target data"), target, spectrum, setting.noise_std, num_samples)
    source = None
    if setting.source_samples is not None:
        stream = _keys.named(_keys.named(key, "source"), "data")
        noise, count = setting.source_noise_std, setting.source_samples
        source = spectral.decompose(data.sample_moments(stream, jnp.zeros_like(target), spectrum, noise, count))
    return Samples(key, own, spectrum, target, moments, spectral.decompose(moments), source)


def pair(setting: LinearSetting, samples: Samples, overlap_angle: Float[Array, ""]) -> tasks.LinearPair:
    """The source/target pair at an angle."""
    norms = {"target_norm": setting.target_norm, "source_norm": setting.source_norm}
    return tasks.linear_pair(samples.key, overlap_angle, samples.spectrum, **norms)


def source_modes(samples: Samples, task: Float[Array, " d"]) -> tuple[Modes, Float[Array, "d d"] | None]:
    """The source loss of a task, and the basis it is in (None for the coordinate basis)."""
    if samples.source is None:
        return spectral.population_modes(task, samples.spectrum), None
    return spectral.with_task(samples.source, task), samples.source.basis


def untrained(setting: LinearSetting, key: Array) -> deep_linear.Weights | None:
    """The weights that decide the chain's start; None where only the data does (depth >= 3, random)."""
    shape = {"dim": setting.dim, "depth": setting.depth, "init_scale": jnp.asarray(setting.init_scale)}
    if setting.start == "balanced":
        return deep_linear.balanced_start(key, width=1, **shape)  # the predictor does not depend on the width
    return deep_linear.random_start(key, width=setting.hidden_width, **shape) if setting.depth <= 2 else None


def start(setting: LinearSetting, weights: deep_linear.Weights | None, cross: Float[Array, " d"]) -> Chain:
    """The chain of an untrained network, in coordinates; `cross` is b of the data it is about to see."""
    if weights is None:
        return spectral.plateau_start(cross, setting.depth, setting.init_scale)
    if setting.start == "balanced" or setting.depth == 1:
        return spectral.reduced(weights)
    return spectral.growing_mode(weights, cross)


def scratch_start(setting: LinearSetting, samples: Samples) -> Chain:
    """The chain from which training from scratch on a target sample begins, in coordinates."""
    weights = untrained(setting, _keys.named(samples.own, "scratch start"))
    return start(setting, weights, samples.moments.cross)


def feature(setting: LinearSetting, chain: Chain) -> Float[Array, " d"]:
    """The one feature of a chain of two layers or more, u s^{L-2}: what its last layer s multiplies."""
    return spectral.layer_norm(chain, setting.depth) ** (setting.depth - 2) * chain.first


def head(setting: LinearSetting, samples: Samples, chain: Chain) -> tuple[Modes, Callable[[Array], Array]]:
    """The target loss of the last layer alone on a chain's frozen features, and from its weights to the predictor."""
    basis, modes = samples.decomposition
    if setting.depth == 1:  # the features are the inputs
        return modes, lambda weights: basis @ weights
    direction, (covariance, cross, power, _) = feature(setting, chain), samples.moments
    curvature = direction @ (covariance @ direction)
    return Modes(curvature[None], (direction @ cross)[None], power), lambda weights: direction * weights[0]


def probe(setting: LinearSetting, samples: Samples, chain: Chain) -> LinearProbe:
    """Linear transfer on the features of a chain (in coordinates): one feature, u s^{L-2}; all inputs at depth 1."""
    if setting.depth > 1:
        features = feature(setting, chain)[:, None]
        return linear_transfer(features, samples.moments, setting.ridges, setting.feature_cutoff)
    basis, modes = samples.decomposition
    ridges = jnp.asarray(setting.ridges, modes.cross.dtype)[:, None]
    shifted = modes.eigenvalues[None, :] + ridges
    keep = spectral.resolved(modes)[None, :] | (ridges > 0)
    fits = jnp.where(keep, modes.cross[None, :] / jnp.where(keep, shifted, 1), 0)
    return LinearProbe(fits @ basis.T, jnp.asarray(setting.dim))
