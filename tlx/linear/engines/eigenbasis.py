"""What engines `spectral` and `flow` share: the data sets that engine `full` would draw, decomposed once."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx import _keys
from tlx._checks import require
from tlx.glossary import Protocol
from tlx.linear import chain as chains
from tlx.linear import data, penalties
from tlx.linear.chain import Chain, Decomposition, Modes
from tlx.linear.engines.base import Engine, Prepared, Trained
from tlx.linear.probe import LinearProbe, linear_transfer
from tlx.linear.setting import LinearSetting
from tlx.networks import deep_linear


class Eigenbases(NamedTuple):
    """What is kept of a target data set.

    Attributes:
        decomposition: of the target sample.
        source: of the source inputs that serve every angle, with labels that are noise alone; None for the population.
        extra: what one engine needs besides: see its `extra`.
    """

    decomposition: Decomposition
    source: Decomposition | None
    extra: Any


class EigenbasisEngine(Engine):
    """An engine whose networks are chains (`tlx.linear.chain`) in coordinates."""

    def keep(self, setting: LinearSetting, prepared: Prepared) -> Eigenbases:
        """The eigenbases of both samples."""
        source = None
        if setting.source_samples is not None:
            stream = _keys.named(_keys.named(prepared.key, "source"), "data")
            zero, noise = jnp.zeros_like(prepared.target), setting.source_noise_std
            sample = data.sample_moments(stream, zero, prepared.spectrum, noise, setting.source_samples)
            source = chains.decompose(sample)
        target = chains.decompose(prepared.moments)
        return Eigenbases(target, source, self.extra(setting, prepared.key, target.modes))

    @abc.abstractmethod
    def extra(self, setting: LinearSetting, key: Array, modes: Modes) -> Any:
        """What else serves every angle: from the instance's key and the modes of the target sample."""

    def top_eigenvalue(self, prepared: Prepared) -> Float[Array, ""]:
        """The largest eigenvalue of X^T X / n."""
        return prepared.state.decomposition.modes.eigenvalues[-1]

    def probe(self, setting: LinearSetting, prepared: Prepared, source: Trained) -> LinearProbe:
        """On the one feature of a chain, u s^{L-2}; on all inputs at depth 1."""
        if setting.depth > 1:
            features = feature(setting, source.network)[:, None]
            return linear_transfer(features, prepared.moments, setting.ridges, setting.feature_cutoff)
        basis, modes = prepared.state.decomposition
        ridges = jnp.asarray(setting.ridges, modes.cross.dtype)[:, None]
        shifted = modes.eigenvalues[None, :] + ridges
        keep = chains.resolved(modes)[None, :] | (ridges > 0)
        fits = jnp.where(keep, modes.cross[None, :] / jnp.where(keep, shifted, 1), 0)
        return LinearProbe(fits @ basis.T, jnp.asarray(setting.dim))

    def penalise(
        self, protocol: str, setting: LinearSetting, prepared: Prepared, source: Trained, penalty: Array
    ) -> Trained:
        """Penalties on the predictor change the modes; those on the weights are the engine's own."""
        if protocol == Protocol.LAYERWISE_L2SP:
            return self.anchored(setting, prepared, source, penalty)
        basis, modes = prepared.state.decomposition
        centre = basis.T @ source.predictor
        if protocol == Protocol.L2SP:
            return self.pulled(setting, prepared, source, penalties.pulled_modes(modes, centre, penalty))
        solved = basis @ penalties.source_ridge(modes, centre, penalty)
        return source._replace(network=None, predictor=solved, curve=None)

    @abc.abstractmethod
    def anchored(self, setting: LinearSetting, prepared: Prepared, source: Trained, penalty: Array) -> Trained:
        """Fine-tuning with weight decay towards the pretrained weights."""

    @abc.abstractmethod
    def pulled(self, setting: LinearSetting, prepared: Prepared, source: Trained, modes: Modes) -> Trained:
        """Fine-tuning on other modes of the same basis."""


def check_all_weights(setting: LinearSetting, engine: str) -> None:
    """Refuse what changes which weights are trained: chains hold layers 2..L as one number."""
    for name in ("trained_layers", "lora_rank"):
        value = getattr(setting, name)
        require(value is None, f"{name} = {value} needs the weights themselves; use engine full instead of {engine}.")


def source_modes(prepared: Prepared, task: Float[Array, " d"]) -> tuple[Modes, Float[Array, "d d"] | None]:
    """The source loss of a task, and the basis it is in (None for the coordinate basis)."""
    source = prepared.state.source
    if source is None:
        return chains.population_modes(task, prepared.spectrum), None
    return chains.with_task(source, task), source.basis


def untrained(setting: LinearSetting, key: Array) -> deep_linear.Weights | None:
    """The weights that decide the chain's start; None where only the data does (depth >= 3, random)."""
    shape = {"dim": setting.dim, "depth": setting.depth, "init_scale": jnp.asarray(setting.init_scale)}
    if setting.start == "balanced":
        return deep_linear.balanced_start(key, width=1, **shape)  # the predictor does not depend on the width
    return deep_linear.random_start(key, width=setting.hidden_width, **shape) if setting.depth <= 2 else None


def start(setting: LinearSetting, weights: deep_linear.Weights | None, cross: Float[Array, " d"]) -> Chain:
    """The chain of an untrained network, in coordinates; `cross` is b of the data it is about to see."""
    if weights is None:
        return chains.plateau_start(cross, setting.depth, setting.init_scale)
    if setting.start == "balanced" or setting.depth == 1:
        return chains.reduced(weights)
    return chains.growing_mode(weights, cross)


def scratch_start(setting: LinearSetting, prepared: Prepared) -> Chain:
    """The chain from which training from scratch on a target sample begins, in coordinates."""
    weights = untrained(setting, _keys.named(prepared.own, "scratch start"))
    return start(setting, weights, prepared.moments.cross)


def feature(setting: LinearSetting, chain: Chain) -> Float[Array, " d"]:
    """The one feature of a chain of two layers or more, u s^{L-2}: what its last layer s multiplies."""
    return chains.layer_norm(chain, setting.depth) ** (setting.depth - 2) * chain.first


def head(setting: LinearSetting, prepared: Prepared, chain: Chain) -> tuple[Modes, Callable[[Array], Array]]:
    """The target loss of the last layer alone on a chain's frozen features, and from its weights to the predictor."""
    basis, modes = prepared.state.decomposition
    if setting.depth == 1:  # the features are the inputs
        return modes, lambda weights: basis @ weights
    direction, (covariance, cross, power, _) = feature(setting, chain), prepared.moments
    curvature = direction @ (covariance @ direction)
    return Modes(curvature[None], (direction @ cross)[None], power), lambda weights: direction * weights[0]
