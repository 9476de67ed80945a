"""NCE, LEEP and TransRate against explicit sums, their limits, and each other."""

import numpy as np
import pytest

from tlx.feature_scores import leep, nce, trans_rate

rng = np.random.default_rng(0)
classes = rng.integers(0, 3, 60)
scores = rng.normal(size=(60, 4)) + 2 * np.eye(4)[classes]
probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


def test_nce_is_an_explicit_sum_and_zero_where_the_source_fixes_the_class():
    source = scores.argmax(1)
    total = sum(np.log(np.mean(classes[source == z] == y)) for y, z in zip(classes, source, strict=True))
    assert nce(source, classes) == pytest.approx(total / 60, rel=1e-12)
    assert nce(classes + 5, classes) == 0.0
    fractions = np.bincount(classes) / 60
    assert nce(np.zeros(60, int), classes) == pytest.approx(np.sum(fractions * np.log(fractions)), rel=1e-12)


def test_leep_is_an_explicit_sum_and_nce_for_sure_predictions():
    total = 0.0
    for i in range(60):
        inner = 0.0
        for z in range(4):
            joint = sum(probabilities[j, z] for j in range(60) if classes[j] == classes[i])
            inner += joint / probabilities[:, z].sum() * probabilities[i, z]
        total += np.log(inner)
    assert leep(probabilities, classes) == pytest.approx(total / 60, rel=1e-10)
    sure = np.eye(4)[scores.argmax(1)]
    assert leep(sure, classes) == pytest.approx(nce(scores.argmax(1), classes), rel=1e-12)


@pytest.mark.parametrize("width", [3, 90])
def test_trans_rate_is_a_difference_of_log_determinants(width):
    features = rng.normal(size=(60, width))
    centred = features - features.mean(0)
    centred /= np.sqrt(np.mean(np.sum(centred**2, 1)))

    def rate(rows):
        return 0.5 * np.sum(np.log1p(np.linalg.svd(rows, compute_uv=False) ** 2 / (len(rows) * 1e-4)))

    within = sum(np.mean(classes == c) * rate(centred[classes == c]) for c in range(3))
    assert trans_rate(features, classes) == pytest.approx(rate(centred) - within, rel=1e-9)
    if width == 3:
        assert trans_rate(features + 3.0 * np.eye(3)[classes], classes) > trans_rate(features, classes)
    assert trans_rate(7 * features, classes) == pytest.approx(trans_rate(features, classes), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nce(classes[:-1], classes), "one of each a row"),
        (lambda: nce(classes * 0.5, classes), "classes are integers"),
        (lambda: leep(scores, classes), "softmax"),
        (lambda: leep(probabilities[:5], classes), "one row a label"),
        (lambda: leep(probabilities, np.ones(60, int)), "nothing to tell apart"),
        (lambda: trans_rate(scores, classes, distortion=0.0), "distortion = 0.0"),
        (lambda: trans_rate(np.where(scores == scores[2, 1], np.nan, scores), classes), r"features\[2, 1\] = nan"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
