"""Which pretrained representation of the elements is best for a property: predicted order against the order found."""

import numpy as np
from scipy.linalg import helmert

from experiments.advice import packages
from experiments.advice.words import ridge_at
from tlx import feature_scores
from tlx.planner import held_out
from tlx.planner import leave_one_out as loo

NAMES = tuple(packages.REPRESENTATIONS)
SCORES = ("held-out error", "LogME", "H-score")


def trial(name: str, count: int, random: np.random.Generator, options: dict) -> dict[str, np.ndarray]:
    """One pilot of `count` elements: scores of each representation, its error on the other elements, and the choice.

    The choice is the representation with the largest share of bootstrap resamples of the held-out errors in which it is
    the best or within the tolerance, or -1 ("undecided") where that share is below the confidence.
    """
    found = packages.elements(name)
    order = random.permutation(len(found.symbols))
    rows, others = order[:count], order[count:]
    labels = found.labels[rows]
    contrasts = helmert(count)  # what is left of the rows without their mean, in count - 1 coordinates
    scores, errors, spread, row_errors = [], [], [], {}
    for key in NAMES:
        features = found.features[key][rows]
        smoother = loo.of_inputs(features, np.ones((count, 1)))
        tuned = loo.tune(smoother, labels[:, None])
        row_errors[key] = tuned.row_errors
        centred = features - features.mean(axis=0)
        centred_labels = labels - labels.mean()
        shrunk = feature_scores.h_score(features, labels, shrinkage="ledoit_wolf")
        evidence = feature_scores.log_me(contrasts @ features, contrasts @ labels)
        scores.append([tuned.row_errors.mean(), evidence, shrunk])
        fit = ridge_at(centred, centred_labels, tuned.penalty * smoother.level)
        ahead = (found.features[key][others] - features.mean(axis=0)) @ fit + labels.mean()
        squares = (ahead - found.labels[others]) ** 2
        errors.append(squares.mean())
        spread.append(squares.std(ddof=1) / np.sqrt(len(others)))
    shares = held_out.bootstrap_support(row_errors, 0.0, options["tolerance"], options["seed"])
    leading = max(shares, key=lambda key: shares[key])
    spoken = shares[leading] >= options["confidence"]
    return {
        "score": np.array(scores).T,
        "error": np.array(errors),
        "test_se": np.array(spread),
        "held_out_se": np.array([v.std(ddof=1) / np.sqrt(count) for v in row_errors.values()]),
        "advice": np.array(NAMES.index(leading) if spoken else -1),
        "leading": np.array(NAMES.index(leading)),
    }
