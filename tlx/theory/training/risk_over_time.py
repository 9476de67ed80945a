"""Excess risk at any time of training: gradient flow, gradient descent step by step, stochastic gradient descent."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.training import _curve, _head
from tlx.theory.training._endpoint import endpoint
from tlx.theory.training._measure import excess_risk
from tlx.theory.training._setting import Pretrained, Setting, check_times, over_lanes, setting, start, still
from tlx.theory.training.risk_after_steps import check_step, record, step_counts


def risk_over_time(
    protocol: str,
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
    init_scale: Numbers = 1e-5,
    batch_size: Numbers | None = None,
    learning_rate: Numbers | None = None,
    momentum: Numbers = 0.0,
    replacement: bool = True,
    pretrained: Pretrained | None = None,
) -> Result:
    """Mean excess risk along training on n = g d isotropic samples, from its start to its end.

    A balanced chain has beta = k (alpha u_0 + phi X^T y/n), k = s^{L-1}; in each mode l of X^T X/n the flow of
    (1/n)|X beta - y|^2 is alpha' = -2 k^2 l alpha, phi' = 2 k (1 - k l phi), s' = 2 s^{L-2} <u, X^T(y - X beta)/n>, and
    R = E_l [k^2 alpha^2 |u_0|^2 + 2 k alpha (k l phi - 1) <u_0, beta_t> + (k l phi - 1)^2 r^2 + k^2 phi^2 l sigma^2/g].
    A frozen feature of norm h: R = rho + a^2 M + (sigma^2 + rho) V, M = (1 + 8 h^2 t/n)^{-n/2}.

    Args:
        protocol: "scratch", "linear_transfer" (the last layer from zero) or "fine_tuning".
        times: t >= 0, ascending on the last axis, in units of the loss's own gradient. inf is the end of flow.
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0.
        noise_std: sigma >= 0.
        depth: L >= 1 (any real number); at least 2 for linear transfer.
        target_norm: r = |beta_t|.
        source_norm: rho = |beta_s|.
        source_ratio: g_s = n_s/d, inf for a population: it changes q = |beta_pre| and m = <beta_t, beta_pre> alone.
        source_noise_std: sigma_s >= 0.
        num_samples: n of linear transfer, and of mini-batches; inf for the limit.
        init_scale: scratch starts from the balanced chain of this layer norm along X^T y.
        batch_size: B <= n; mini-batches of SGD, with `learning_rate` and `num_samples`, for chains.
        learning_rate: eta > 0: gradient descent's own steps instead of flow, t = eta * steps (rounded), all finite.
        momentum: of heavy-ball descent, in [0, 1), with `learning_rate` and the full batch.
        replacement: whether a batch may hold a sample twice (batches are drawn afresh at every step).
        pretrained: (q, m) as measured, instead of those that follow from the source arguments.

    Returns:
        E|beta - beta_t|^2: the other arguments broadcast with the leading axes of `times`, then the axis of times.

    Valid as d -> inf at fixed g (errors O(1/d)); flow to about 1e-6, 1e-3 where a chain passes close to zero
    (theta near pi); within .01 of g = 1 only until t ~ 1e3 (96 nodes). From scratch at L >= 3 real networks leave zero
    at fluctuating times: compare at equal norm. With mini-batches also B << d and eta max(l) << 1.

    Raises:
        ValueError: on a value outside its range, with the remedy.

    Source: derived here from the balanced chain of Theorem 3.4 and the Marchenko-Pastur law.
    """
    lane = setting(
        protocol, overlap_angle, sample_ratio, noise_std, depth=depth, target_norm=target_norm, source_norm=source_norm,
        source_ratio=source_ratio, source_noise_std=source_noise_std, num_samples=num_samples, init_scale=init_scale,
        pretrained=pretrained,
    )  # fmt: skip
    step = check_step(protocol, learning_rate, momentum, batch_size, num_samples, replacement)
    if step is None:
        check_times(times)
        return _flow_risks(protocol, times, lane)
    check_times(times, "descent by steps has no closed end: pass finite times, or leave out learning_rate.")
    return record(protocol, lane, step, *step_counts(times, learning_rate)).risk


def _flow_risks(protocol: str, times: Any, lane: Setting) -> Array:
    times = np.asarray(times) if isinstance(times, (list, tuple)) else times
    dtype = jnp.result_type(times, *lane)
    lane = Setting(*(array.astype(dtype) for array in lane))
    return over_lanes(lambda times, *lanes: _compiled(times, Setting(*lanes), protocol), times, *lane)


def _one_curve(protocol: str, times: Array, lane: Setting) -> Array:
    ended = jnp.isinf(times)
    finite = jnp.where(ended, 0.0, times)
    head = protocol == "linear_transfer"
    risks = _head.flow_risk(lane, finite) if head else chain_curve(protocol, finite, lane)
    return jnp.where(ended, endpoint(protocol, lane), risks)


def chain_curve(protocol: str, times: Array, lane: Setting) -> Array:
    """The risk of a chain at finite times, for one lane."""
    measure, begin, moves = start(protocol, lane)

    def observe(alpha: Array, phi: Array, scale: Array) -> Array:
        return excess_risk(measure, alpha, phi, scale)

    path = _curve.solve(measure, lane.depth, begin, _curve.last_clock(measure), observe)
    risks = _curve.read(path, measure, lane.depth, begin, times, observe)
    return jnp.where(moves, risks, still(protocol, lane))


@partial(jax.jit, static_argnums=2)
def _compiled(times: Array, lanes: Setting, protocol: str) -> Array:
    return jax.vmap(partial(_one_curve, protocol))(times, lanes)
