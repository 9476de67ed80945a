"""Rank correlations between predictors and measured transferability, with bootstrap intervals, and what they say."""

import numpy as np

MEASURES = {
    "kullback_leibler": "KL",
    "chi_squared": "χ²",
    "squared_hellinger": "H²",
    "total_variation": "TV",
    "jensen_shannon": "JS",
    "renyi": "Rényi",
    "wasserstein_1": "W₁",
    "wasserstein_2": "W₂",
    "mmd": "MMD",
    "dudley": "Dudley",
    "feature_overlap": "overlap",
    "log_me": "LogME",
    "h_score": "H-score",
    "linear_mse": "lin. MSE",
}
DISTANCES = tuple(MEASURES)[:10]
PROMISE = np.array([-1.0] * 10 + [1.0, 1.0, 1.0, -1.0])  # sign of the correlation that a good predictor would have
METHODS = ("linear_transfer", "fine_tuning")
WORDS = {"linear_transfer": "linear transfer", "fine_tuning": "fine-tuning"}
TIE = 0.005  # correlations this close share a place in the text
STEP = 1e-6  # relative difference below which two values of a measure are the same (rounding)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, ties sharing their mean; values equal to rounding are tied, infinities too."""
    finite = np.where(np.isfinite(values), values, np.sign(values) * np.finfo(float).max / 4)
    gap = finite[..., :, None] - finite[..., None, :]
    room = STEP * np.maximum(np.abs(finite[..., :, None]), np.abs(finite[..., None, :]))
    return np.sum((gap > room) + 0.5 * (np.abs(gap) <= room), axis=-1) + 0.5


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation along the last axis; 0 where one of the two is the same everywhere: it ranks nothing."""
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    scale = np.sqrt(np.sum(a**2, -1) * np.sum(b**2, -1))
    return np.divide(np.sum(a * b, -1), scale, out=np.zeros(np.shape(scale)), where=scale > 0)


def correlations(values: np.ndarray, gains: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlation (measure, method) and its 95 % interval (2, measure, method) over resampled tasks.

    Args:
        values: (measure, task).
        gains: (method, task).
        resamples: of the bootstrap.
        seed: of its draws, which all measures and methods share.
    """
    good = np.all(np.isfinite(gains), 0) & ~np.any(np.isnan(values), 0)
    values, gains = values[:, good], gains[:, good]
    random = np.random.default_rng([seed, 3])
    shape = len(values), len(gains)
    if values.shape[1] < 3:  # of a job that is not complete
        return np.full(shape, np.nan), np.full((2, *shape), np.nan)
    whole = spearman(values[:, None, :], gains[None, :, :])
    draws = []
    for _ in range(resamples):
        pick = random.integers(values.shape[1], size=values.shape[1])
        draws.append(spearman(values[:, None, pick], gains[None, :, pick]))
    return whole, np.percentile(draws, [2.5, 97.5], axis=0)


def sentences(name: str, table: np.ndarray, low: np.ndarray, high: np.ndarray, constant: np.ndarray) -> list[str]:
    """What the numbers of one ensemble say, one sentence a method.

    Args:
        name: of the ensemble.
        table, low, high: (measure, method) correlations and intervals.
        constant: (measure,) which are the same for all tasks of the ensemble.
    """
    keys, short = list(MEASURES), list(MEASURES.values())
    out = []
    for j, method in enumerate(METHODS):
        kept = PROMISE * table[:, j]
        best = int(np.argmax(kept))
        tied = [short[i] for i in range(len(keys)) if kept[i] >= kept[best] - TIE]
        interval = sorted(PROMISE[best] * np.array([low[best, j], high[best, j]]))
        distances = kept[: len(DISTANCES)]
        first = int(np.argmax(distances))
        overlap = kept[keys.index("feature_overlap")]
        sure = "" if interval[0] > 0 else "nothing is surely better than chance; "
        out.append(
            f"{name}, {WORDS[method]}: {sure}the best predictor is {', '.join(tied)} at {signed(kept[best])} "
            f"[{signed(interval[0])}, {signed(interval[1])}]; the best distance {short[first]} "
            f"{signed(distances[first])}, the worst {short[int(np.argmin(distances))]} "
            f"{signed(distances.min())}; feature overlap {signed(overlap)}."
        )
    if constant.any():
        same = ", ".join(label for label, flat in zip(short, constant, strict=True) if flat)
        out.append(f"{name}: {same} is the same for every task, and ranks nothing (0).")
    return out


def lines(names: list[str], table: np.ndarray) -> list[str]:
    """The table in fixed width, promise kept: 1 orders perfectly as promised, -1 the wrong way round."""
    width = max(len(name) for name in names) + 4
    out = [" " * width + "".join(f"{label:>9}" for label in MEASURES.values())]
    for i, name in enumerate(names):
        for j, method in enumerate(METHODS):
            kept = PROMISE * table[i, :, j]
            mark = {"linear_transfer": "LT", "fine_tuning": "FT"}[method]
            out.append(f"{name:<{width - 3}}{mark} " + "".join(f"{signed(value):>9}" for value in kept))
    return out


def signed(value: float) -> str:
    """Two decimals with their sign, and no minus zero."""
    return f"{round(float(value), 2) + 0.0:+.2f}".replace("-", "−")
