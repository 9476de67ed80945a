"""Learning curves beyond the pilot, from the pilot's own held-out errors: the effective-ridge form.

Kernel ridge regression on N rows with penalty p acts like a population ridge kappa,

    kappa = p/N + kappa df1(kappa)/N,      error(N) = D(kappa)/(1 - df2(kappa)/N),

df1 = sum s/(s + kappa), df2 = sum s²/(s + kappa)², s the population eigenvalues, and D(kappa) (bias plus noise)
independent of N. At the pilot's n rows every penalty gives one kappa (df1 equals the trace of the fit), and its
held-out error gives D there. Another N needs only another point of the same curves; below the pilot's smallest kappa
they are continued as powers, D towards a floor that the pilot does not know: each draw takes one between zero and
what was reached. Source: Simon, Dickens, DeWeese 2021 and Wei, Hu, Steinhardt 2022 for the form; the continuation
is this library's own.
"""

import numpy as np
from jaxtyping import Float

from tlx.planner.leave_one_out import Smoother, residuals

PENALTIES = np.geomspace(1e-5, 1e4, 64)  # relative to the mean eigenvalue
_ROOM = 0.15  # share of the rows that a fit must leave unused for D to be read off its held-out error
_BELOW = np.geomspace(1e-6, 0.9, 40)  # continuation, relative to the smallest kappa of the pilot


def curve_draws(
    smoother: Smoother,
    labels: Float[np.ndarray, "n o"],
    sizes: Float[np.ndarray, "sizes"],
    weights: Float[np.ndarray, "draws n"],
    seed: tuple[int, ...],
) -> tuple[Float[np.ndarray, "draws sizes"], Float[np.ndarray, "n o"], float]:
    """Draws of the error at the best penalty for each size; held-out residuals and penalty at the pilot's best.

    weights: resampling weights of the rows, each row summing to 1, deviations already widened.
    seed: of the floors; another one for each method, for their floors have nothing to do with one another.
    """
    held_out = residuals(smoother, labels, PENALTIES)
    rows = np.sum(held_out**2, axis=2)
    usable = np.all(np.isfinite(rows), axis=1)
    held_out, rows, penalties = held_out[usable], rows[usable], PENALTIES[usable] * smoother.level
    count = len(labels) - smoother.basis.shape[1]
    first = np.sum(smoother.values / (smoother.values + penalties[:, None]), axis=1)
    kappa = penalties / count / np.maximum(1 - first / count, 1e-9)
    second = np.clip(first + np.gradient(first, np.log(kappa)), 0, first)
    means = np.maximum(weights @ rows.T, 1e-3 * np.mean(rows, axis=1))
    level = means * (1 - second / count)
    best = int(np.argmin(np.mean(rows, axis=1)))
    steady = second < (1 - _ROOM) * count
    steady = steady if np.sum(steady) >= 12 else np.arange(len(kappa)) >= len(kappa) - 12
    draws = _continued(
        kappa[steady], first[steady], second[steady], level[:, steady], sizes, np.random.default_rng([*seed, 5])
    )
    return draws, held_out[best], float(penalties[best] / smoother.level)


def _continued(kappa, first, second, level, sizes, rng) -> np.ndarray:
    """D/(1 - df2/N) for each size, kappa continued below the pilot's smallest.

    Each draw is read at the kappa that is best for another draw: a penalty that was chosen by the very errors that it
    is judged by looks too good.
    """
    rate = float(np.clip(-np.polyfit(np.log(kappa[:6]), np.log(np.maximum(first[:6], 1e-12)), 1)[0], 0.0, 1.0))
    slopes = np.polyfit(np.log(kappa[:12]), np.log(level[:, :12]).T, 1)[0]
    floor = rng.uniform(0, 1, len(level))
    steep = np.clip(slopes, 0.0, 2.0) / np.maximum(1 - floor, 1e-3)
    start = level[:, 0]
    below = start[:, None] * (floor[:, None] + (1 - floor[:, None]) * _BELOW[None, :] ** np.minimum(steep, 4)[:, None])
    more = first[0] * _BELOW**-rate
    every_first = np.concatenate([more, first])
    every_second = np.concatenate([more * (1 - rate), second])
    every_level = np.concatenate([below, level], axis=1)
    out = []
    for size in sizes:
        allowed = every_first < 0.999 * size
        error = every_level[:, allowed] / (1 - every_second[allowed] / size)[None, :]
        chosen = np.roll(np.argmin(error, axis=1), 1)
        out.append(error[np.arange(len(error)), chosen])
    return np.stack(out, axis=1)
