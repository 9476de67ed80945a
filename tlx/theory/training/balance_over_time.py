"""The factor on the part of the pretrained vector that the data do not see, along fine-tuning."""

import jax
import jax.numpy as jnp
import numpy as np

from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.training import _curve
from tlx.theory.training._endpoint import balance_end
from tlx.theory.training._setting import Pretrained, Setting, check_times, over_lanes, setting, start
from tlx.theory.training.risk_after_steps import check_step, record, step_counts


def balance_over_time(
    times: Numbers,
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    num_samples: Numbers = np.inf,
    batch_size: Numbers | None = None,
    learning_rate: Numbers | None = None,
    momentum: Numbers = 0.0,
    replacement: bool = True,
    pretrained: Pretrained | None = None,
) -> Result:
    """The balance factor c(t) = (s(t)/s(0))^{L-1} of fine-tuning: (I - P) beta(t) = c(t) (I - P) beta_pre.

    Gradient flow ends at the c of `fine_tuning_risk`; steps of descent pull it below, mini-batches further still.

    Args:
        times: as in `risk_over_time`, on the last axis; inf is the end of flow.
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        depth: L >= 1; c = 1 at L = 1.
        target_norm: r.
        source_norm: rho.
        source_ratio: g_s, inf for a population.
        source_noise_std: sigma_s.
        num_samples: n, which mini-batches need.
        batch_size: B <= n of SGD.
        learning_rate: eta > 0 for steps instead of flow.
        momentum: heavy-ball, in [0, 1).
        replacement: whether a batch may hold a sample twice.
        pretrained: (q, m) as measured.

    Returns:
        c(t), shaped as `risk_over_time` does. NaN for a pretrained vector of length 0 or inf.

    Source: derived here; balance is conserved by flow alone.
    """
    lane = setting(
        "fine_tuning", overlap_angle, sample_ratio, noise_std, depth=depth, target_norm=target_norm,
        source_norm=source_norm, source_ratio=source_ratio, source_noise_std=source_noise_std, num_samples=num_samples,
        pretrained=pretrained,
    )  # fmt: skip
    step = check_step("fine_tuning", learning_rate, momentum, batch_size, num_samples, replacement)
    if step is None:
        check_times(times)
        return over_lanes(lambda times, *lanes: _compiled(times, Setting(*lanes)), times, *lane)
    check_times(times, "descent by steps has no closed end: pass finite times, or leave out learning_rate.")
    return record("fine_tuning", lane, step, *step_counts(times, learning_rate)).balance


def _one_curve(times: Array, lane: Setting) -> Array:
    measure, begin, moves = start("fine_tuning", lane)
    path = _curve.solve(measure, lane.depth, begin, _curve.last_clock(measure), lambda alpha, phi, scale: scale)
    ended = jnp.isinf(times)
    scales = _curve.interpolate(path.times, path.values, jnp.where(ended, 0.0, times)) / path.values[0]
    return jnp.where(moves, jnp.where(ended, balance_end(lane), scales), jnp.nan)


@jax.jit
def _compiled(times: Array, lanes: Setting) -> Array:
    return jax.vmap(_one_curve)(times, lanes)
