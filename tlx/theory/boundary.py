"""The boundaries of negative transfer: sample ratios at fixed angle, and the angle at fixed ratio."""

import jax.numpy as jnp
import numpy as np

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.fine_tuning import null_space_scale
from tlx.theory.finite_source import kept, lost_alignment, squared_norm
from tlx.theory.scratch import scratch_risk

PROTOCOLS = ("linear_transfer", "fine_tuning")


def _positive_roots(square: Array, linear: Array, constant: Array) -> tuple[Array, Array]:
    """Both real roots of a x^2 + b x + c, smaller first; NaN where complex; a = 0 gives (-c/b, NaN)."""
    straight = square == 0
    discriminant = linear**2 - 4 * square * constant
    real = discriminant >= 0
    root = jnp.where(discriminant > 0, jnp.sqrt(_arrays.guarded(discriminant > 0, discriminant)), 0.0)
    half = -(linear + jnp.where(linear < 0, -root, root)) / 2
    first = jnp.where(straight, jnp.nan, half / _arrays.guarded(~straight, square))
    second = jnp.where(half == 0, jnp.where(straight, jnp.nan, 0.0), constant / _arrays.guarded(half != 0, half))
    first, second = jnp.where(real, first, jnp.nan), jnp.where(real, second, jnp.nan)
    low = jnp.where(straight, second, jnp.minimum(first, second))
    high = jnp.where(straight, jnp.nan, jnp.maximum(first, second))
    return low, high


def negative_transfer_boundary(
    protocol: str,
    overlap_angle: Numbers,
    noise_std: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    trained_layers: Numbers | None = None,
) -> Result:
    """The sample ratios at which the sign of transfer changes, at fixed angle and noise (limit d -> inf).

    Linear transfer, t = (sigma/r)^2: both roots of g^2 - (1 + cos^2 phi - t) g + cos^2 phi = 0 (negative between)
    and 1 + t/sin^2 phi (negative beyond). Between the second root and the third number lies the band of anomalous
    positive transfer around g = 1. Fine-tuning: c(g) = 2 m/q^2 is the quadratic
    (r^2 - q^2 C) h^2 + (q^2 w - r^2 + sigma^2) h - sigma^2 = 0 in h = 1 - g, C = (2 m/q^2)^2, w = C^{L/(L-1)}.

    Args:
        protocol: "linear_transfer" or "fine_tuning".
        overlap_angle: theta in [0, pi], radians.
        noise_std: sigma >= 0.
        depth: L >= 1; at L = 1 the sign of fine-tuning does not depend on g (no boundary).
        target_norm: r > 0.
        source_norm: rho > 0.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.
        trained_layers: how many layers fine-tuning trains, as in `fine_tuning_risk`: it takes the place of L.

    Returns:
        An array of the broadcast shape with a last axis of 3: (lower, upper, beyond one), NaN for a boundary that
        does not exist; at sin phi = 0 the third is inf. Fine-tuning uses the first two. For a population source
        linear transfer has a negative region below g = 1 only if theta > arccos(1 - sigma/r), taken up to pi/2.

    Source: Theorem 3.7 and its corollary; the fine-tuning quadratic follows from the exact endpoint.
    """
    _checks.check_choice("protocol", protocol, PROTOCOLS)
    _arrays.check_pair(overlap_angle, noise_std, target_norm, source_norm)
    _arrays.check_source(source_ratio, source_noise_std)
    depth = _arrays.trained_depth(depth, trained_layers)
    arrays = _arrays.common(overlap_angle, noise_std, depth, target_norm, source_norm, source_ratio, source_noise_std)
    edges = _linear_edges(*arrays) if protocol == "linear_transfer" else _fine_tuning_edges(*arrays)
    return jnp.stack(edges, axis=-1)


def _inside(ratio: Array) -> Array:
    """`ratio` if it lies in (0, 1), else NaN."""
    return jnp.where((ratio > 0) & (ratio < 1), ratio, jnp.nan)


def _linear_edges(angle, noise, depth, norm, source_norm, source_ratio, source_noise) -> tuple[Array, Array, Array]:
    lost = lost_alignment(source_ratio, source_noise, source_norm, None)
    across = jnp.sin(angle) ** 2 + jnp.cos(angle) ** 2 * lost
    relative = (noise / norm) ** 2
    low, high = _positive_roots(jnp.ones_like(across), -(2 - across - relative), 1 - across)
    tilted = across > 0
    beyond = jnp.where(tilted, 1 + relative / _arrays.guarded(tilted, across), jnp.inf)
    return _inside(low), _inside(high), beyond


def _fine_tuning_edges(angle, noise, depth, norm, source_norm, source_ratio, source_noise):
    square = squared_norm(source_ratio, source_noise, source_norm, None)
    balance = 2 * norm * source_norm * kept(source_ratio) * jnp.cos(angle) / square
    live = (balance > 0) & (depth > 1)
    scale = _arrays.guarded(live, balance) ** 2
    root = scale ** (1 / (1 - 1 / _arrays.guarded(live, depth, 2.0)))
    energy = norm**2
    left_low, left_high = _positive_roots(energy - square * scale, square * root - energy + noise**2, -(noise**2))
    edges = jnp.sort(jnp.stack([_inside(1 - left_low), _inside(1 - left_high)]), axis=0)
    low, high = jnp.where(live, edges, jnp.nan)
    return low, high, jnp.full_like(low, jnp.nan)


def break_even_angle(
    protocol: str,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    num_samples: Numbers = np.inf,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    published: bool = False,
    trained_layers: Numbers | None = None,
) -> Result:
    """The angle in [0, pi/2] at which transfer turns from positive to negative, at fixed ratio and noise (d -> inf).

    Linear transfer: r^2 sin^2 phi (1 + 1/(n-2)) + sigma^2/(n-2) = R_scratch. Fine-tuning: m = c q^2/2, that is
    cos theta = c q^2/(2 r rho min(g_s, 1)); 60 degrees in the published form.

    Args:
        protocol: "linear_transfer" or "fine_tuning".
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        num_samples: n > 2 of linear transfer; inf for the limit.
        depth: L >= 1 of fine-tuning.
        target_norm: r > 0.
        source_norm: rho > 0.
        source_ratio: g_s > 0, inf for a population.
        source_noise_std: sigma_s >= 0.
        published: c = 1.
        trained_layers: how many layers fine-tuning trains, as in `fine_tuning_risk`: it takes the place of L.

    Returns:
        The angle, the arguments broadcast. 0 where transfer is negative at every angle, pi/2 where linear transfer is
        negative at none; NaN for fine-tuning at g >= 1, where T = 0. Linear transfer is positive again beyond
        pi minus this angle.

    Source: Theorems 3.7 and 3.9; the exact endpoint for fine-tuning.
    """
    _checks.check_choice("protocol", protocol, PROTOCOLS)
    _arrays.check_pair(0.0, noise_std, target_norm, source_norm)
    _arrays.check_ratio("sample_ratio", sample_ratio)
    _arrays.check_source(source_ratio, source_noise_std)
    depth = _arrays.trained_depth(depth, trained_layers)
    _checks.check_positive("num_samples", num_samples)
    scratch = scratch_risk(sample_ratio, noise_std, target_norm=target_norm)
    scratch, ratio, noise, count, depth, norm, source_norm, source_ratio, source_noise = _arrays.common(
        scratch,
        sample_ratio,
        noise_std,
        num_samples,
        depth,
        target_norm,
        source_norm,
        source_ratio,
        source_noise_std,
    )
    source = (source_norm, source_ratio, source_noise)
    if protocol == "linear_transfer":
        return _linear_break_even(scratch, noise, count, norm, *source)
    return _fine_tuning_break_even(ratio, noise, 0 * depth if published else 1 - 1 / depth, norm, *source)


def _linear_break_even(scratch, noise, count, norm, source_norm, source_ratio, source_noise) -> Array:
    """Of linear transfer, from the risk of scratch; arrays of one shape."""
    enough = count > 2
    variance = 1 / (_arrays.guarded(enough, count, 4.0) - 2)
    across = jnp.where(enough, (scratch - noise**2 * variance) / (norm**2 * (1 + variance)), 0.0)
    lost = lost_alignment(source_ratio, source_noise, source_norm, None)
    gone = lost >= 1
    squared = (across - lost) / _arrays.guarded(~gone, 1 - lost)
    squared = jnp.where(gone, jnp.where(across > 1, 1.0, 0.0), squared)
    between = (squared > 0) & (squared < 1)
    angle = jnp.arcsin(jnp.sqrt(_arrays.guarded(between, squared, 0.5)))
    return jnp.where(between, angle, jnp.where(squared >= 1, jnp.pi / 2, 0.0))


def _fine_tuning_break_even(ratio, noise, exponent, norm, source_norm, source_ratio, source_noise) -> Array:
    """Of fine-tuning, whose null-space part is scaled with this exponent; arrays of one shape."""
    below, _ = _arrays.one_sided(ratio)
    square = squared_norm(source_ratio, source_noise, source_norm, None)
    size = norm**2 * below + noise**2 * _arrays.noise_gain(below)
    scale = null_space_scale(size, below, square, exponent)
    cosine = scale * square / (2 * norm * source_norm * kept(source_ratio))
    possible = cosine < 1
    angle = jnp.where(possible, jnp.arccos(_arrays.guarded(possible, cosine, 0.5)), 0.0)
    return jnp.where(ratio < 1, angle, jnp.nan)
