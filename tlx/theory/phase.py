"""Where transfer helps: the risk of each method under one signature, transferability and its sign."""

import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.fine_tuning import fine_tuning_gain, fine_tuning_risk
from tlx.theory.linear_transfer import linear_transfer_risk
from tlx.theory.ridge import optimal_ridge_risk
from tlx.theory.scratch import scratch_risk

PROTOCOLS = ("scratch", "linear_transfer", "fine_tuning")
BASELINES = ("scratch", "optimal_ridge")


def method_risk(
    protocol: str,
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    num_samples: Numbers | None = None,
    ridge: Numbers = 0.0,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    published: bool = False,
    trained_layers: Numbers | None = None,
    dim: Numbers | None = None,
) -> Result:
    """Mean excess risk of a method by name: `scratch_risk`, `linear_transfer_risk` or `fine_tuning_risk`.

    Args:
        protocol: "scratch", "linear_transfer" or "fine_tuning".
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        num_samples: n for linear transfer; by default g d when `dim` is given, else inf.
        ridge: lambda >= 0 of linear transfer.
        depth: L >= 1 of fine-tuning.
        target_norm: r = |beta_t|.
        source_norm: rho = |beta_s|.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.
        published: the published instead of the exact form of fine-tuning.
        trained_layers: how many layers fine-tuning trains, the first among them; None for all.
        dim: d, for means at finite dimension.

    Returns:
        The risk, all arguments broadcast, those that the method does not use included.

    Source: Theorems 3.5 to 3.9 and C.1.
    """
    _checks.check_choice("protocol", protocol, PROTOCOLS)
    common = {"target_norm": target_norm, "dim": dim}
    source = {"source_ratio": source_ratio, "source_noise_std": source_noise_std, "source_norm": source_norm}
    if protocol == "scratch":
        _arrays.check_pair(overlap_angle, noise_std, target_norm, source_norm)
        risk = scratch_risk(sample_ratio, noise_std, **common)
    elif protocol == "linear_transfer":
        _arrays.check_ratio("sample_ratio", sample_ratio)
        if num_samples is None:
            num_samples = np.inf if dim is None else jnp.multiply(*_arrays.common(sample_ratio, dim))
        risk = linear_transfer_risk(
            overlap_angle, noise_std, num_samples=num_samples, ridge=ridge, **common, **source
        )  # fmt: skip
    else:
        risk = fine_tuning_risk(
            overlap_angle, sample_ratio, noise_std, depth=depth, published=published, trained_layers=trained_layers,
            **common, **source,
        )  # fmt: skip
    return _arrays.common(risk, overlap_angle, sample_ratio, noise_std, source_ratio)[0]


def transferability(
    protocol: str,
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    baseline: str = "scratch",
    **task: Numbers | None,
) -> Result:
    """How much risk a method saves over training from scratch, T = E[R_scratch - R_method]; T < 0 is negative transfer.

    Args:
        protocol: "linear_transfer" or "fine_tuning" ("scratch" gives 0 against the scratch baseline).
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        baseline: "scratch", or "optimal_ridge" for a baseline whose weight decay is tuned (limit d -> inf).
        **task: any further argument of `method_risk`.

    Returns:
        T, the arguments broadcast. At g = 1 with noise linear transfer gains +inf over plain scratch and
        fine-tuning 0 (its limit from below); linear transfer at n <= 2 and ridge 0 gives -inf.

    Source: the definition of transferability; Theorems 3.7, 3.9 and C.1.
    """
    _checks.check_choice("protocol", protocol, PROTOCOLS)
    _checks.check_choice("baseline", baseline, BASELINES)
    pair = (overlap_angle, sample_ratio, noise_std)
    if protocol == "fine_tuning" and baseline == "scratch":
        used = {name: value for name, value in task.items() if name not in ("num_samples", "ridge")}
        return fine_tuning_gain(*pair, **used)
    risk = method_risk(protocol, *pair, **task)
    if protocol == baseline:
        return jnp.zeros_like(risk)
    norm = {"target_norm": task.get("target_norm", 1.0)}
    if baseline == "scratch":
        reference = scratch_risk(sample_ratio, noise_std, dim=task.get("dim"), **norm)
    else:
        reference = optimal_ridge_risk(sample_ratio, noise_std, **norm)
    return _difference(*_arrays.common(reference, risk))


def _difference(baseline: Array, risk: Array) -> Array:
    """`baseline - risk`, where an infinite risk loses to everything (so inf - inf is -inf, never NaN)."""
    lost = jnp.isinf(risk)
    return jnp.where(lost, -jnp.inf, baseline - _arrays.guarded(~lost, risk, 0.0))


def transfer_sign(
    protocol: str, overlap_angle: Numbers, sample_ratio: Numbers, noise_std: Numbers, **options: Numbers | str | None
) -> Result:
    """The phase: +1 where transfer helps, -1 where it hurts, 0 where it changes nothing.

    Args:
        protocol: as in `transferability`.
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        **options: any further argument of `transferability`.

    Returns:
        sign(T), the arguments broadcast.
    """
    return jnp.sign(transferability(protocol, overlap_angle, sample_ratio, noise_std, **options))
