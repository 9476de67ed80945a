"""The least risk of every protocol in theory: over all penalties or times, and over those of a list."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.linear import over_time as _over_time
from experiments.linear import theory as _theory
from tlx import theory
from tlx.glossary import Protocol
from tlx.linear.setting import LinearSetting


def optima(setting: LinearSetting, theta: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Theory's least risk of every protocol of the setting: (protocol, theta, n/d); NaN under a power law."""
    angle, ratios = np.meshgrid(theta, ratio, indexing="ij")
    source, noise, count = _theory.source_of(setting), setting.noise_std, ratios * setting.dim
    pair = (angle, ratios, noise)
    norm = {"target_norm": setting.target_norm}
    forms = {
        "scratch": lambda: theory.optimal_ridge_risk(ratios, noise, **norm),
        "linear_transfer": lambda: theory.optimal_linear_transfer_risk(angle, noise, num_samples=count, **source),
        "fine_tuning": lambda: theory.best_stopping("fine_tuning", *pair, depth=setting.depth, **source)[1],
        "l2sp": lambda: theory.optimal_l2sp_risk(*pair, **source),
        "layerwise_l2sp": lambda: theory.optimal_layerwise_l2sp_risk(*pair, depth=setting.depth, **source),
        "source_ridge": lambda: theory.optimal_source_ridge_risk(*pair, num_samples=count, **source),
    }
    if not setting.isotropic:
        return np.full((len(setting.protocols), *angle.shape), np.nan)
    return np.stack([np.asarray(forms[str(protocol)](), float) for protocol in setting.protocols])


def listed(setting: LinearSetting, engine: str, theta: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Theory's least risk of every protocol among the setting's own penalties and times: (protocol, theta, n/d).

    What a choice from a list can reach: it may lie far above the optimum where that is beyond the list. NaN under a
    power law. Without a penalty both L2-SPs are fine-tuning, and end where it ends.
    """
    if not setting.isotropic:
        return np.full((len(setting.protocols), len(theta), len(ratio)), np.nan)
    angle, ratios = np.meshgrid(theta, ratio, indexing="ij")
    rows = []
    for protocol in map(str, setting.protocols):
        if protocol == Protocol.FINE_TUNING:
            found = _over_time.one(protocol, setting, engine, np.asarray(setting.times), angle, ratios)
        else:  # one program a protocol
            found = np.asarray(jax.jit(partial(_by_penalty, protocol, setting))(angle, ratios), float)
        rows.append(np.broadcast_to(np.min(found, axis=-1), angle.shape))
    return np.stack(rows)


def _by_penalty(protocol: str, setting: LinearSetting, angle: jax.Array, ratio: jax.Array) -> jax.Array:
    """One protocol at each of its penalties, along the last axis."""
    case, noise, angle, ratio = _theory.case_of(setting), setting.noise_std, angle[..., None], ratio[..., None]
    count = ratio * setting.dim
    if protocol == Protocol.SCRATCH:
        norm = {"target_norm": setting.target_norm, "depth": setting.depth}
        return theory.weight_decay_risk(ratio[:1], noise, jnp.asarray(setting.weight_decays), **norm)
    if protocol == Protocol.LINEAR_TRANSFER:
        return _theory.linear_transfer(case, angle, count, jnp.asarray(setting.ridges))
    penalty = jnp.asarray(setting.penalties(protocol))
    where = (angle, ratio, noise, penalty)
    if protocol == Protocol.SOURCE_RIDGE:
        return theory.source_ridge_risk(*where, num_samples=count, **case.source)
    free = _theory.fine_tuning(case, angle, ratio)
    if protocol == Protocol.L2SP:
        return jnp.where(penalty == 0, free, theory.l2sp_risk(*where, **case.source))
    return jnp.where(penalty == 0, free, theory.layerwise_l2sp_risk(*where, depth=setting.depth, **case.source))
