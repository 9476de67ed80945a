"""Splitting the power of the labels into an unseen signal part and noise, from the spectrum of the inputs.

The labels, after the part along known directions is regressed out, are y = W w + sigma e with W of shape (N, D) and
rows of mean zero and unit covariance. In the eigenbasis of W Wᵀ / D (eigenvalues l_i, coordinates s_i = u_i . y):

    s_i = sqrt(rho D l_i) xi_i + sigma e_i,      E s_i² = rho l_i + sigma²,

with rho = |w|² and xi uniform on the unit sphere of R^D, exactly so for Gaussian W whatever w is. The spectrum
says nothing about (rho, sigma), so everything here is conditional on it. For N > D the N - D coordinates with l = 0
are pooled.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_FLOOR = 1e-8  # smallest noise share told apart from none: rounding of the Gram matrix squares what is smaller


class Spectrum(NamedTuple):
    """Sufficient summary of the labels for (rho, sigma²) under rotation-invariant inputs."""

    eigenvalues: Float[np.ndarray, "rank"]
    squared_coordinates: Float[np.ndarray, "rank"]
    null_dof: int
    null_power: float
    dim: int


class Draws(NamedTuple):
    """Equally weighted draws from the joint confidence distribution of the two parts of the label power."""

    signal_power: Float[np.ndarray, "draws"]
    noise_power: Float[np.ndarray, "draws"]


def label_spectrum(
    inputs: Float[np.ndarray, "n d"], outputs: Float[np.ndarray, "n"], known: Float[np.ndarray, "n k"], dim: int
) -> Spectrum:
    """The labels in the eigenbasis of the inputs, both freed of the columns of `known`.

    inputs: (n, d) whitened inputs without the part that `known` carries (rank at most `dim`).
    outputs: (n,) labels. known: (n, k) columns regressed out (the source's predictions, features, the constant).
    dim: number D of input directions left, so that a row of `inputs` has squared norm D on average.
    """
    basis, _ = np.linalg.qr(known)
    rows = inputs - basis @ (basis.T @ inputs)
    labels = outputs - basis @ (basis.T @ outputs)
    dof = len(outputs) - known.shape[1]
    rank = min(dof, dim)
    if inputs.shape[0] <= inputs.shape[1]:
        values, vectors = np.linalg.eigh(rows @ rows.T / dim)
        coordinates = vectors[:, ::-1][:, :rank].T @ labels
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows / dim)
        scale = np.sqrt(dim * np.maximum(values[::-1][:rank], np.finfo(float).tiny))
        coordinates = (vectors[:, ::-1][:, :rank].T @ (rows.T @ labels)) / scale
    power = float(labels @ labels)
    left = power - float(coordinates @ coordinates)
    null_power = left if left > 1e-13 * power else 0.0
    return Spectrum(np.maximum(values[::-1][:rank], 0.0), coordinates**2, dof - rank, null_power, dim)


def _solve_covariance(spectrum: Spectrum, share: np.ndarray, right: np.ndarray) -> np.ndarray:
    """V^-1 `right` for V = cov(s²) at unit total power and signal share h: diagonal minus rank one (Sherman-Morrison).

    Arrays are (grid, rank + 1); the last column is one null coordinate, of multiplicity `null_dof`.
    V = diag(2 k h² l² + 4 h (1-h) l + 2 (1-h)²) - (2 k h² / D) l lᵀ, k = D/(D+2): the sphere fixes sum xi² = 1.
    """
    values = np.append(spectrum.eigenvalues, 0.0)
    shrink = spectrum.dim / (spectrum.dim + 2)
    noise = 1.0 - share
    diagonal = 2 * shrink * (share * values) ** 2 + 4 * share * noise * values + 2 * noise**2
    first, along = right / diagonal, values / diagonal
    beta = 2 * shrink * share**2 / spectrum.dim
    gain = beta * np.sum(values * first, axis=1, keepdims=True)
    return first + along * gain / (1 - beta * np.sum(values * along, axis=1, keepdims=True))


def _score_weights(spectrum: Spectrum, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights on s², (grid, rank + 1): the best quadratic test of h, a positive scale, the best power estimate."""
    values = np.append(spectrum.eigenvalues, 0.0)
    count = np.append(np.ones(len(values) - 1), spectrum.null_dof)
    mean = share * values + (1 - share)
    slope_solved = _solve_covariance(spectrum, share, np.broadcast_to(values - 1.0, mean.shape))
    mean_solved = _solve_covariance(spectrum, share, mean)
    along = np.sum(count * mean * slope_solved, axis=1, keepdims=True)
    size = np.sum(count * mean * mean_solved, axis=1, keepdims=True)
    return slope_solved - along / size * mean_solved, 1.0 / mean, mean_solved / size


def _simulated_squares(spectrum: Spectrum, rng: np.random.Generator, num: int) -> tuple[np.ndarray, ...]:
    """The parts of s² = h A + 2 sqrt(h (1-h)) B + (1-h) C at unit power, for `num` data sets with this spectrum."""
    rank = len(spectrum.eigenvalues)
    sphere = rng.standard_normal((rank, num))
    rest = rng.chisquare(spectrum.dim - rank, num) if spectrum.dim > rank else 0.0
    sphere /= np.sqrt(np.sum(sphere**2, axis=0) + rest)
    signal = np.sqrt(spectrum.dim * spectrum.eigenvalues)[:, None] * sphere
    noise = rng.standard_normal((rank, num))
    null = rng.chisquare(spectrum.null_dof, num) if spectrum.null_dof else np.zeros(num)
    zero = np.zeros((1, num))
    return (
        np.concatenate([signal**2, zero]),
        np.concatenate([signal * noise, zero]),
        np.concatenate([noise**2, null[None]]),
    )


def _share_grid(spectrum: Spectrum, squares: np.ndarray, size: int) -> np.ndarray:
    """Signal shares, (size, 1), spread over where the test statistic lies within 5 standard deviations of its mean."""
    logits = np.linspace(np.log(1e-6), -np.log(_FLOOR), 241)
    share = 1 / (1 + np.exp(-logits))[:, None]
    weights, _, _ = _score_weights(spectrum, share)
    values = np.append(spectrum.eigenvalues, 0.0)
    count = np.append(np.ones(len(values) - 1), spectrum.null_dof)
    mean = share * values + (1 - share)
    scale = np.sum(squares / mean, axis=1) / np.sum(count)
    variance = np.sum(count * weights * (values - 1.0), axis=1)  # = qᵀ V q for the optimal weights
    z = (weights @ squares) / np.maximum(scale, 1e-300) / np.sqrt(np.maximum(variance, 1e-300))
    near = np.flatnonzero(np.abs(z) < 5)
    low, high = (max(near[0] - 1, 0), min(near[-1] + 1, 240)) if len(near) else (0, 240)
    if not len(near):
        turn = int(np.sum(z > 0))
        low, high = max(turn - 2, 0), min(turn + 1, 240)
    return 1 / (1 + np.exp(-np.linspace(logits[low], logits[high], size)))[:, None]


def confidence_draws(spectrum: Spectrum, seed: int = 0, num_draws: int = 4000, num_simulated: int = 2000) -> Draws:
    """Draws of (rho, sigma²) whose equal-tailed quantiles are confidence intervals.

    For each signal share h = rho / (rho + sigma²), C(h) = P_h(T >= T_observed) for the scale-free score statistic
    T is the exact (simulated) one-sided p-value; C is the confidence distribution of h, with atoms at h = 0 and h = 1.
    The total power follows from its pivot at that h.
    """
    rng = np.random.default_rng(seed)
    squares = np.append(spectrum.squared_coordinates, spectrum.null_power)
    share = _share_grid(spectrum, squares, 60)
    weights, scales, totals = _score_weights(spectrum, share)
    signal, cross, noise = _simulated_squares(spectrum, rng, num_simulated)
    root = 2 * np.sqrt(share * (1 - share))
    pivot = share * (scales @ signal) + root * (scales @ cross) + (1 - share) * (scales @ noise)
    score = share * (weights @ signal) + root * (weights @ cross) + (1 - share) * (weights @ noise)
    observed_pivot = scales @ squares
    observed = (weights @ squares) / observed_pivot
    tie = 1e-9 * np.sum(np.abs(weights) * squares, axis=1) / observed_pivot
    gap = score / pivot - observed[:, None]
    below = np.mean(0.5 * (gap > -tie[:, None]) + 0.5 * (gap > tie[:, None]), axis=1)
    total = share * (totals @ signal) + root * (totals @ cross) + (1 - share) * (totals @ noise)
    return _invert(np.maximum.accumulate(below), share[:, 0], total, totals @ squares, rng, num_draws)


def _invert(below, share, pivot, observed_pivot, rng, num_draws) -> Draws:
    """Draws of the share by inverting its confidence distribution `below` (one value a grid share); then the power."""
    levels = (np.arange(num_draws) + 0.5) / num_draws
    rng.shuffle(levels)
    ramp = below + 1e-12 * np.arange(len(below))
    drawn = np.interp(levels, ramp, share)
    drawn = np.where(levels < below[0], 0.0, np.where(levels > below[-1], 1.0, drawn))
    index = np.clip(np.searchsorted(ramp, levels), 0, len(share) - 1)
    picked = pivot[index, rng.integers(pivot.shape[1], size=num_draws)]
    total = np.maximum(observed_pivot[index], 0) / np.maximum(picked, 0.02)
    return Draws(drawn * total, (1 - drawn) * total)
