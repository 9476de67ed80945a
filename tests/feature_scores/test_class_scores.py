"""NCE, LEEP and TransRate against explicit sums, their limits, and each other."""

import numpy as np
import pytest

from tlx.feature_scores import leep, nce, trans_rate

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
SCORES = RNG.normal(size=(60, 4)) + 2 * np.eye(4)[LABELS]
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)


def test_nce_is_an_explicit_sum_and_zero_where_the_source_fixes_the_class():
    source = SCORES.argmax(1)
    total = sum(np.log(np.mean(LABELS[source == z] == y)) for y, z in zip(LABELS, source, strict=True))
    assert nce(source, LABELS) == pytest.approx(total / 60, rel=1e-12)
    assert nce(LABELS + 5, LABELS) == 0.0
    fractions = np.bincount(LABELS) / 60
    assert nce(np.zeros(60, int), LABELS) == pytest.approx(np.sum(fractions * np.log(fractions)), rel=1e-12)


def test_leep_is_an_explicit_sum_and_nce_for_sure_predictions():
    total = 0.0
    for i in range(60):
        inner = 0.0
        for z in range(4):
            joint = sum(PROBABILITIES[j, z] for j in range(60) if LABELS[j] == LABELS[i])
            inner += joint / PROBABILITIES[:, z].sum() * PROBABILITIES[i, z]
        total += np.log(inner)
    assert leep(PROBABILITIES, LABELS) == pytest.approx(total / 60, rel=1e-10)
    sure = np.eye(4)[SCORES.argmax(1)]
    assert leep(sure, LABELS) == pytest.approx(nce(SCORES.argmax(1), LABELS), rel=1e-12)


@pytest.mark.parametrize("width", [3, 90])
def test_trans_rate_is_a_difference_of_log_determinants(width):
    features = RNG.normal(size=(60, width))
    centred = features - features.mean(0)
    centred /= np.sqrt(np.mean(np.sum(centred**2, 1)))

    def rate(rows):
        return 0.5 * np.sum(np.log1p(np.linalg.svd(rows, compute_uv=False) ** 2 / (len(rows) * 1e-4)))

    within = sum(np.mean(LABELS == c) * rate(centred[LABELS == c]) for c in range(3))
    assert trans_rate(features, LABELS) == pytest.approx(rate(centred) - within, rel=1e-9)
    assert trans_rate(features + 3.0 * np.eye(3, width)[LABELS], LABELS) > trans_rate(features, LABELS)
    assert trans_rate(7 * features, LABELS) == pytest.approx(trans_rate(features, LABELS), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nce(LABELS[:-1], LABELS), "one of each a row"),
        (lambda: nce(LABELS * 0.5, LABELS), "classes are integers"),
        (lambda: leep(SCORES, LABELS), "softmax"),
        (lambda: leep(PROBABILITIES[:5], LABELS), "one row a label"),
        (lambda: leep(PROBABILITIES, np.ones(60, int)), "nothing to tell apart"),
        (lambda: trans_rate(SCORES, LABELS, distortion=0.0), "distortion = 0.0"),
        (lambda: trans_rate(np.where(SCORES == SCORES[2, 1], np.nan, SCORES), LABELS), r"features\[2, 1\] = nan"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
