"""Which pretrained representation of the elements is best for a property: predicted order against the order found."""

import numpy as np
from scipy.linalg import helmert

from experiments.advice import packages
from tlx import feature_scores, planner

NAMES = (*packages.REPRESENTATIONS, "together", "null")
SCORES = ("held-out error", "LogME", "H-score")


def trial(name: str, count: int, random: np.random.Generator, options: dict) -> dict[str, np.ndarray]:
    """One pilot of `count` elements: scores of each representation, its error on the other elements, and the choice.

    The choice is that of `tlx.planner.compare_features`: a position in NAMES, or -1 for "undecided".
    """
    found = packages.elements(name)
    order = random.permutation(len(found.symbols))
    rows, others = order[:count], order[count:]
    labels = found.labels[rows]
    said = planner.compare_features({key: one[rows] for key, one in found.features.items()}, labels, **options)
    scores, squares = [], []
    for key in NAMES:
        ahead = said.predict({key: one[others] for key, one in found.features.items()}, key)
        squares.append((ahead - found.labels[others]) ** 2)
        given = found.features.get(key)
        other = (np.nan, np.nan) if given is None else _scored(given[rows], labels)
        scores.append([said.held_out[key].error, *other])
    return {
        "score": np.array(scores).T,
        "error": np.mean(squares, axis=1),
        "test_se": np.std(squares, axis=1, ddof=1) / np.sqrt(len(others)),
        "held_out_se": np.array([said.held_out[key].standard_error for key in NAMES]),
        "advice": np.array(NAMES.index(said.recommendation) if said.recommendation in NAMES else -1),
    }


def _scored(features: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """LogME and H-score of a representation."""
    contrasts = helmert(len(labels))  # what is left of the rows without their mean, in n - 1 coordinates
    evidence = feature_scores.log_me(contrasts @ features, contrasts @ labels)
    return evidence, feature_scores.h_score(features, labels, shrinkage="ledoit_wolf")
