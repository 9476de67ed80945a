"""What a pilot sample says about the target task: norm, noise and overlap with what was pretrained, with intervals."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tlx.planner import moments
from tlx.planner._pilot import Pilot
from tlx.planner.components import confidence_draws, label_spectrum


class Estimate(NamedTuple):
    """A number with its equal-tailed interval; `unbiased` is the moment estimate behind it, unclipped (NaN if none)."""

    value: float
    low: float
    high: float
    unbiased: float


class TaskDraws(NamedTuple):
    """Equally weighted draws from the confidence distribution of the task.

    Attributes:
        along: signal along the source direction (signed), or its length within the span of the features.
        across: length of the rest of the signal, >= 0.
        noise_std: sigma >= 0.
    """

    along: Float[np.ndarray, "draws"]
    across: Float[np.ndarray, "draws"]
    noise_std: Float[np.ndarray, "draws"]

    @property
    def norm(self) -> Float[np.ndarray, "draws"]:
        """|beta_t|."""
        return np.hypot(self.along, self.across)

    @property
    def angle(self) -> Float[np.ndarray, "draws"]:
        """Overlap angle in [0, pi], radians."""
        return np.arctan2(self.across, self.along)


def task_draws(pilot: Pilot, seed: int, num_draws: int = 4000) -> TaskDraws:
    """Draws of (along, across, noise) from the whitened pilot sample.

    The source direction (or the k features) is regressed out; the residual is split by `components`; given its power v
    the part along is normal with variance v / |z|² (one direction) or inverted from the noncentral chi² (k features).
    """
    rng = np.random.default_rng([seed, 1])
    count, dim = pilot.inputs.shape
    constant = [np.ones((count, 1))] if pilot.lost_dof else []
    if pilot.features is None:
        along = (pilot.inputs @ (pilot.source / np.linalg.norm(pilot.source)))[:, None]
        rest = pilot.inputs - along * (pilot.source / np.linalg.norm(pilot.source))
        left = dim - 1
    else:
        along, rest = pilot.features, pilot.inputs
        left = _dimension_left(pilot)
    if left == 0:
        parts = _pure_noise(pilot.labels, along, pilot.lost_dof, rng, num_draws)
    else:
        known = np.concatenate([*constant, along], axis=1)
        parts = confidence_draws(label_spectrum(rest, pilot.labels, known, left), seed, num_draws)
    power = parts.signal_power + parts.noise_power
    signal = _along_draws(pilot, along, power, rng)
    return TaskDraws(signal, np.sqrt(parts.signal_power), np.sqrt(parts.noise_power))


def summarise(draws: TaskDraws, pilot: Pilot, coverage: float) -> dict[str, Estimate]:
    """Target norm, noise std, and overlap angle with their intervals and the moment estimates behind them."""
    square = moments.signal_power(pilot.inputs, pilot.labels)
    noise = moments.noise_power(pilot.inputs, pilot.labels)
    along = np.nan if pilot.source is None else moments.overlap(pilot.inputs, pilot.labels, pilot.source)
    cosine = np.cos(draws.angle)
    return {
        "target_norm_squared": interval(draws.norm**2, coverage, square),
        "target_norm": interval(draws.norm, coverage),
        "noise_variance": interval(draws.noise_std**2, coverage, noise),
        "noise_std": interval(draws.noise_std, coverage),
        "signal_along_source": interval(draws.along, coverage, along),
        "overlap": interval(cosine, coverage),
        "overlap_angle": interval(draws.angle, coverage),
    }


def interval(values: np.ndarray, coverage: float, unbiased: float = np.nan) -> Estimate:
    """Median and equal-tailed quantiles of draws."""
    tail = (1 - coverage) / 2
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail], method="inverted_cdf")
    return Estimate(float(middle), float(low), float(high), float(unbiased))


def _dimension_left(pilot: Pilot) -> int:
    """Input directions that the features leave: the mean squared norm of the inputs' residual, as a count."""
    count, dim = pilot.inputs.shape
    known = np.concatenate([np.ones((count, pilot.lost_dof)), pilot.features], axis=1)
    basis, _ = np.linalg.qr(known)
    rest = pilot.inputs - basis @ (basis.T @ pilot.inputs)
    return int(np.clip(round(float(np.sum(rest**2)) / (count - known.shape[1])), 0, dim))


def _along_draws(pilot: Pilot, along: np.ndarray, power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws of the signal along the known directions, given draws of the residual power."""
    labels = pilot.labels
    if pilot.features is None:
        size = float(np.sum(along**2))
        return float(along[:, 0] @ labels) / size + np.sqrt(power / size) * rng.standard_normal(len(power))
    basis, _ = np.linalg.qr(along)
    fitted = float(np.sum((basis.T @ labels) ** 2))
    count, width = along.shape
    levels = rng.permutation((np.arange(len(power)) + 0.5) / len(power))
    noncentral = _noncentrality(fitted / power, width, levels)
    return np.sqrt(power * noncentral / (count - pilot.lost_dof))


def _noncentrality(statistic: np.ndarray, dof: int, levels: np.ndarray) -> np.ndarray:
    """The noncentrality at which a noncentral chi² exceeds `statistic` with probability `levels`; 0 if there is none.

    Bisection on Sankaran's cube-root normal approximation of the noncentral chi² distribution.
    """
    low, high = np.zeros_like(statistic), 4 * statistic + 100.0 + 10 * dof
    for _ in range(60):
        middle = (low + high) / 2
        mean, spread = dof + middle, 2 * (dof + 2 * middle) / (9 * (dof + middle) ** 2)
        z = (np.cbrt(statistic / mean) - (1 - spread)) / np.sqrt(spread)
        exceeds = 1 / (1 + np.exp(np.minimum(1.5957691216 * z + 0.070565992 * z**3, 700.0)))
        low, high = np.where(exceeds < levels, middle, low), np.where(exceeds < levels, high, middle)
    return low


def _pure_noise(labels, along, lost_dof, rng, num_draws):
    """The residual when the features use up every input direction: noise alone, with its chi² pivot."""
    from tlx.planner.components import Draws

    basis, _ = np.linalg.qr(np.concatenate([np.ones((len(labels), lost_dof)), along], axis=1))
    left = labels - basis @ (basis.T @ labels)
    noise = float(left @ left) / rng.chisquare(len(labels) - along.shape[1] - lost_dof, num_draws)
    return Draws(np.zeros(num_draws), noise)
