"""From draws of the task to advice: which method, with what confidence, or how many more rows would settle it."""

import numpy as np
from jaxtyping import Float

from tlx.planner.estimates import TaskDraws
from tlx.planner.predictions import ALL, METHODS, Learner, predicted_risks, support

_GROWTH = 1.25
_LARGEST = 64  # pilots larger than this many times the present one are not considered


def choose(shares: dict[str, float], confidence: float) -> tuple[str, str, float]:
    """The method with the largest share of support, or "undecided" below `confidence`; the leading one; its share.

    Ties go to the method named first (scratch, then linear transfer): beyond n = d fine-tuning equals scratch.
    """
    leading = max(shares, key=lambda name: shares[name])
    return (leading if shares[leading] >= confidence else "undecided"), leading, shares[leading]


def extra_samples(
    task: TaskDraws,
    pilot_size: int,
    num_samples: int | None,
    learner: Learner,
    methods: tuple[str, ...] = METHODS,
    *,
    tolerance: float,
    confidence: float,
    seed: int,
) -> int | None:
    """About how many more labelled rows would bring the expected support of the best method to `confidence`.

    For pilots of growing size the task (the median of the draws) is re-estimated with the large-sample errors of
    the estimators; with `num_samples` None the rows collected are also trained on. None if 64
    times the pilot is not enough.
    """
    centre = [float(np.median(part)) for part in task]
    size = pilot_size
    while size < _LARGEST * pilot_size:
        size = int(np.ceil(size * _GROWTH)) + 1
        draws = _imagined(centre, size, learner.dim, learner.num_features, seed)
        planned = np.array([size if num_samples is None else num_samples], dtype=float)
        risks = predicted_risks(draws, planned, learner)[[ALL.index(name) for name in methods]]
        if np.max(support(risks, tolerance)) >= confidence:
            return size - pilot_size
    return None


def _imagined(centre: list[float], size: int, dim: int, width: int, seed: int, num_draws: int = 1000) -> TaskDraws:
    """Draws around a task as a pilot of `size` rows would leave them: normal, with the information of the spectrum."""
    along, across, noise = centre
    rng = np.random.default_rng([seed, 2])
    covariance = power_covariance(across**2, noise**2, max(size - width - 1, 1), max(dim - width, 1))
    root = np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) * np.eye(2) + 1e-300 * np.eye(2))
    signal, power = np.array([[across**2], [noise**2]]) + root @ rng.standard_normal((2, num_draws))
    spread = np.sqrt((across**2 + noise**2) / size)
    return TaskDraws(
        along + spread * rng.standard_normal(num_draws), np.sqrt(np.maximum(signal, 0)), np.sqrt(np.maximum(power, 0))
    )


def power_covariance(signal: float, noise: float, count: int, dim: int) -> Float[np.ndarray, "2 2"]:
    """Covariance of the best unbiased quadratic estimates of (rho, sigma²) from `count` rows in `dim` dimensions.

    (Aᵀ V^-1 A)^-1 with A = [l, 1] and V = cov(s²) as in `components`, l at the quantiles of the Marchenko-Pastur law.
    """
    noise = max(noise, 1e-6 * (signal + noise), 1e-300)
    rank = min(count, dim)
    nodes = min(rank, 200)
    values = marchenko_pastur_quantiles(count / dim, nodes)
    weights = np.append(np.full(nodes, rank / nodes), count - rank)
    values = np.append(values, 0.0)
    diagonal = 2 * (signal * values + noise) ** 2
    design = np.stack([values, np.ones_like(values)], axis=1)
    information = (design * (weights / diagonal)[:, None]).T @ design
    # The sphere removes 2 rho²/D from the variance of rho: V = diagonal - (2 rho²/D) l lᵀ.
    covariance = np.linalg.pinv(information)
    covariance[0, 0] = max(covariance[0, 0] - 2 * signal**2 / dim, 1e-12 * covariance[0, 0])
    limit = np.sqrt(covariance[0, 0] * covariance[1, 1])
    covariance[0, 1] = covariance[1, 0] = np.clip(covariance[0, 1], -0.999 * limit, 0.999 * limit)
    return covariance


def marchenko_pastur_quantiles(ratio: float, nodes: int) -> Float[np.ndarray, "nodes"]:
    """Mid-quantiles of the non-zero eigenvalues of W Wᵀ / D, W (N, D) of unit variance, N/D = `ratio`."""
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    angle = (np.arange(4096) + 0.5) * np.pi / 4096
    points = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    mass = np.sin(angle) ** 2 / np.maximum(points, 1e-300)  # density sqrt((x-a)(b-x))/x, dx = sin
    cumulative = np.cumsum(mass)
    return np.interp((np.arange(nodes) + 0.5) / nodes, cumulative / cumulative[-1], points)
