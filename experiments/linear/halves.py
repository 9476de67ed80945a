"""Choices that are judged on data which did not make them."""

import numpy as np

from tlx import stats


def judged(risks: np.ndarray) -> np.ndarray:
    """Risks at the candidate that the other half of the instances finds best.

    Args:
        risks: (..., candidate, instance), NaN where a run failed.

    Returns:
        (..., judge): every instance once, odd ones first: what a user who tunes on other data of the same kind gets. A
        minimum over noise is below the truth; this is not.
    """
    even, odd = risks[..., ::2], risks[..., 1::2]
    out = []
    for chooser, judge in ((even, odd), (odd, even)):
        mean = stats.estimate(chooser).mean
        best = np.argmin(np.where(np.isfinite(mean), mean, np.inf), axis=-1)[..., None, None]
        out.append(np.take_along_axis(judge, best, axis=-2)[..., 0, :])
    return np.concatenate(out, axis=-1)
