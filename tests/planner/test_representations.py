"""compare_features: errors against refits, predictions against explicit ridge regression, and what is advised."""

import numpy as np
import pytest

from tlx import planner
from tlx.planner.representations import NULL, TOGETHER


def scaled(rows):
    """Centred rows of mean square length 1."""
    rows = rows - rows.mean(axis=0)
    return rows / np.sqrt(np.mean(np.sum(rows**2, axis=1)))


def case(count, noise=0.3, seed=0):
    """Labels that need two of three representations, the third being noise; one has more columns than rows."""
    rng = np.random.default_rng(seed)
    features = {
        "wide": rng.normal(size=(count, 40)),
        "slim": rng.normal(size=(count, 3)),
        "idle": rng.normal(size=(count, 9)),
    }
    labels = features["wide"] @ np.r_[np.ones(4), np.zeros(36)] + 2 * features["slim"][:, 0]
    return features, 5 + labels + noise * rng.normal(size=count)


def part(features, rows):
    return {name: one[rows] for name, one in features.items()}


def test_held_out_errors_are_those_of_fits_without_the_row():
    features, labels = case(14)
    found = planner.compare_features(features, labels)
    errors = {name: [] for name in (TOGETHER, NULL)}
    for i in range(14):
        rest = np.delete(np.arange(14), i)
        alone = planner.compare_features(part(features, rest), labels[rest])
        for name in errors:
            errors[name].append((alone.predict(part(features, [i]), name)[0] - labels[i]) ** 2)
    for name, squares in errors.items():
        assert found.held_out[name].error == pytest.approx(np.mean(squares), rel=1e-6)
        assert found.held_out[name].standard_error == pytest.approx(np.std(squares, ddof=1) / np.sqrt(14), rel=1e-6)
    rows = scaled(features["slim"])
    values = np.linalg.eigvalsh(rows.T @ rows)
    penalty = found.held_out["slim"].penalty * np.mean(values)  # at one penalty, as leave-one-out has it
    squares = []
    for i in range(14):
        rest = np.delete(np.arange(14), i)
        design = np.column_stack([rows[rest], np.ones(13)])
        fit = np.linalg.solve(design.T @ design + np.diag([penalty] * 3 + [0.0]), design.T @ labels[rest])
        squares.append((np.append(rows[i], 1.0) @ fit - labels[i]) ** 2)
    assert found.held_out["slim"].error == pytest.approx(np.mean(squares), rel=1e-6)


def test_predictions_are_ridge_regression_on_the_weighted_features():
    features, labels = case(30)
    found = planner.compare_features(features, labels)
    new = case(7, seed=1)[0]
    odds = {}
    for name in features:
        share = max(1 - found.held_out[name].error / found.held_out[NULL].error, 0.0)
        odds[name] = (share / (1 - share)) ** 2
    for name, weight in found.weights.items():
        assert weight == pytest.approx(odds[name] / sum(odds.values()), rel=1e-9)
    assert min(found.weights["wide"], found.weights["slim"]) > 0.05 > found.weights["idle"]
    for which, weights in ((TOGETHER, found.weights), ("slim", {"slim": 1.0})):
        lengths = {
            name: np.sqrt(np.mean(np.sum((features[name] - features[name].mean(0)) ** 2, 1))) for name in weights
        }
        side = [np.sqrt(weight) * scaled(features[name]) for name, weight in weights.items()]
        ahead = [
            np.sqrt(weight) * (new[name] - features[name].mean(0)) / lengths[name] for name, weight in weights.items()
        ]
        rows, ahead = np.hstack(side), np.hstack(ahead)
        values = np.linalg.svd(rows, compute_uv=False) ** 2
        penalty = found.held_out[which].penalty * np.mean(values[values > 1e-10])
        fit = np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ (labels - labels.mean()))
        np.testing.assert_allclose(found.predict(new, which), ahead @ fit + labels.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.predict(new, NULL), labels.mean())


def test_no_unit_and_no_order_of_the_rows_matters():
    features, labels = case(30)
    found = planner.compare_features(features, labels)
    other = planner.compare_features({name: 7 * one - 3e5 for name, one in features.items()}, 1e-3 * labels)
    for name, one in found.held_out.items():
        assert other.held_out[name].error == pytest.approx(1e-6 * one.error, rel=1e-6)
        assert other.support[name] == pytest.approx(found.support[name], abs=0.002)
    assert other.recommendation == found.recommendation


def test_what_belongs_together_is_advised_together_and_what_stands_out_alone():
    features, labels = case(60)
    found = planner.compare_features(features, labels)
    assert found.recommendation == TOGETHER == found.leading
    assert found.confidence == found.support[TOGETHER] > 0.9
    rng = np.random.default_rng(3)
    noise = {f"noise {i}": rng.normal(size=(60, 30)) for i in range(11)}
    one = planner.compare_features(
        {**noise, "slim": features["slim"]}, 2 * features["slim"][:, 0] + 0.2 * rng.normal(size=60)
    )
    assert one.recommendation in ("slim", TOGETHER)
    assert one.weights["slim"] > 0.99
    assert sum(one.weights.values()) == pytest.approx(1.0)
    nothing = planner.compare_features(noise, rng.normal(size=60))
    assert nothing.recommendation in (NULL, TOGETHER, "undecided")  # the sum is then the mean label, or close to it
    assert nothing.held_out[TOGETHER].error < 1.15 * nothing.held_out[NULL].error


@pytest.mark.slow
def test_among_noisy_rivals_the_advice_is_seldom_worse_than_the_one_that_is_right():
    """60 pilots of 25 rows, one representation right and eleven noise: what is advised, on 400 other rows."""
    rng = np.random.default_rng(4)
    weights, ratios = rng.normal(size=6), []
    for _ in range(60):
        features = {f"noise {i}": rng.normal(size=(425, 30)) for i in range(11)} | {"right": rng.normal(size=(425, 6))}
        labels = features["right"] @ weights + 0.5 * rng.normal(size=425)
        found = planner.compare_features(part(features, slice(25)), labels[:25], tolerance=0.1)
        if found.recommendation == "undecided":
            continue
        ahead = part(features, slice(25, None))
        errors = [np.mean((found.predict(ahead, name) - labels[25:]) ** 2) for name in (found.recommendation, "right")]
        ratios.append(errors[0] / errors[1])
    assert len(ratios) >= 30
    assert np.mean(ratios) < 1.1
    assert np.mean(np.array(ratios) > 1.25) < 0.1


def test_undecided_says_who_leads_and_the_table_holds_everything():
    features, labels = case(12, noise=3.0, seed=2)
    found = planner.compare_features(features, labels, confidence=1.0, tolerance=0.0)
    assert found.recommendation == "undecided"
    text = str(found)
    assert text.startswith(f"Undecided: {found.leading} leads with")
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in (*features, TOGETHER, NULL))
    np.testing.assert_array_equal(found.predict(features), found.predict(features, found.leading))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": {}}, "features is empty"),
        ({"features": {"null": np.eye(9)}}, "has the name 'null', which is an answer"),
        ({"features": {"a": np.ones((9, 2))}}, r"features\['a'\].*same in every row"),
        ({"features": {"a": np.eye(8)}}, r"features\['a'\] have 8 rows and labels 9"),
        ({"features": {"a": np.full((9, 1), np.nan)}}, r"features\['a'\]\[0, 0\] = nan"),
        ({"labels": np.ones(9)}, "labels are constant"),
        ({"labels": np.arange(5.0), "features": {"a": np.eye(5)}}, "at least 8 are needed"),
        ({"labels": np.array(["x"] * 9)}, "labels"),
        ({"tolerance": -1}, "tolerance = -1"),
        ({"confidence": 0.2}, "confidence = 0.2"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"features": {"a": np.eye(9)}, "labels": np.arange(9.0), **change}
    with pytest.raises(ValueError, match=message):
        planner.compare_features(given.pop("features"), given.pop("labels"), **given)


def test_bad_rows_to_predict_are_named():
    features, labels = case(20)
    found = planner.compare_features(features, labels)
    with pytest.raises(ValueError, match="which = 'best' is none of wide, slim, idle, together, null"):
        found.predict(features, "best")
    with pytest.raises(ValueError, match="features lack slim, which 'slim' uses"):
        found.predict({"wide": features["wide"]}, "slim")
    with pytest.raises(ValueError, match=r"features\['slim'\] have 2 columns, the pilot's 3"):
        found.predict({"slim": features["slim"][:, :2]}, "slim")
