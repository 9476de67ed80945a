"""The theory of every protocol along training, as the engine at hand trains: gradient flow, or its own steps."""

import numpy as np

from experiments.linear.theory import source_of
from tlx import theory
from tlx.glossary import Protocol
from tlx.linear.chain import ESCAPE_PREDICTOR
from tlx.linear.setting import LinearSetting


def over_time(
    setting: LinearSetting, engine: str, times: np.ndarray, theta: np.ndarray, gamma: np.ndarray
) -> np.ndarray:
    """Risks with axes (protocol, theta, n/d, time); NaN where no form is known.

    Args:
        setting: protocols are its own.
        engine: "flow" follows gradient flow, the others take steps of the setting's learning rates.
        times: learning_rate * steps / (1 - momentum), ascending.
        theta: angles.
        gamma: n/d after rounding to whole samples.
    """
    angle, ratio = (mesh[..., None] for mesh in np.meshgrid(theta, gamma, indexing="ij"))
    shape = (len(theta), len(gamma), len(times))
    rows = [one(protocol, setting, engine, times, angle[..., 0], ratio[..., 0]) for protocol in setting.protocols]
    return np.stack([np.broadcast_to(row, shape) for row in rows])


def one(
    protocol: str, setting: LinearSetting, engine: str, times: np.ndarray, angle: np.ndarray, ratio: np.ndarray
) -> np.ndarray:
    """One protocol's risk at points (angle, n/d), times on the last axis."""
    rule = setting.scratch if protocol == Protocol.SCRATCH else setting.fine_tune
    scale = start_scale(setting, engine) if protocol == Protocol.SCRATCH else 1.0
    if scale is None or not known(protocol, setting):
        return np.full((*angle.shape, len(times)), np.nan)
    options = {"depth": setting.depth, "num_samples": ratio * setting.dim, **source_of(setting)}
    if engine != "flow":
        options |= {"learning_rate": float(rule.learning_rate), "momentum": rule.momentum}
        times = times * (1 - rule.momentum)
        if setting.batch_size is not None and protocol != Protocol.LINEAR_TRANSFER:
            options |= {"batch_size": setting.batch_size, "replacement": setting.replacement}
    found = theory.risk_over_time(str(protocol), times, angle, ratio, setting.noise_std, init_scale=scale, **options)
    return np.asarray(found, float)


def after_steps(
    protocol: str, setting: LinearSetting, theta: np.ndarray, gamma: np.ndarray, steps: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """Risk of gradient descent after the steps that each network took, by its recursion on the spectrum's nodes.

    Args:
        protocol: "scratch" or "fine_tuning".
        theta, gamma: angle and n/d of each cell, shape (cells,).
        steps: of each network, shape (cells, instances).
        source: |beta_pre| and <beta_t, beta_pre> as measured, means over a cell's instances, shape (2, cells).

    Returns:
        shape (cells, instances); NaN where the recursion is not that of the training: other rules than gradient
        descent, weight decay, chosen layers, and scratch from depth 3 on, whose networks leave zero at times of chance.
    """
    rule = setting.scratch if protocol == Protocol.SCRATCH else setting.fine_tune
    scale = 1.0 if protocol != Protocol.SCRATCH else start_scale(setting, "full") if setting.depth <= 2 else None
    if scale is None or not known(protocol, setting) or theta.size == 0:
        return np.full(steps.shape, np.nan)
    order = np.argsort(steps, axis=-1)
    ascending = np.take_along_axis(steps, order, -1)
    risks = theory.risk_over_time(
        str(protocol), ascending * float(rule.learning_rate), theta, gamma, setting.noise_std, depth=setting.depth,
        learning_rate=rule.learning_rate, momentum=rule.momentum, init_scale=scale, batch_size=setting.batch_size,
        replacement=setting.replacement, num_samples=gamma * setting.dim, pretrained=tuple(source),
        target_norm=setting.target_norm, source_norm=setting.source_norm,
    )  # fmt: skip
    back = np.argsort(order, axis=-1)
    return np.take_along_axis(np.asarray(risks, float), back, -1)


def known(protocol: str, setting: LinearSetting) -> bool:
    """Whether the risk over time has a form: plain descent of all layers on isotropic inputs, a probe without ridge."""
    rule = setting.scratch if protocol == Protocol.SCRATCH else setting.fine_tune
    decay = setting.weight_decays[0] if protocol == Protocol.SCRATCH else rule.weight_decay
    plain = rule.name == "gradient_descent" and float(decay) == 0 and setting.isotropic
    if protocol == Protocol.LINEAR_TRANSFER:
        return plain and setting.depth > 1 and float(setting.ridges[0]) == 0
    if protocol == Protocol.FINE_TUNING:
        return plain and setting.trained_layers is None and setting.lora_rank is None
    return plain and protocol == Protocol.SCRATCH


def start_scale(setting: LinearSetting, engine: str) -> float | None:
    """The layer norm along X^T y of the part of an untrained network that leaves the saddle; None where it is chance.

    Of a two-layer random start that is init_scale/sqrt(2), of a balanced chain in a random direction init_scale/2, up
    to a relative O(1/sqrt(d)). At three layers and more engines spectral and flow start counting along X^T y.
    """
    alpha = float(setting.init_scale)
    if setting.depth == 1:
        return alpha
    if setting.depth == 2:
        return alpha / (np.sqrt(2.0) if setting.start == "random" else 2.0)
    if engine == "full" or setting.start == "balanced":
        return None
    return max(alpha, ESCAPE_PREDICTOR ** (1 / setting.depth))
