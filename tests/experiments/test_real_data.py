"""The planner on real data: what the packages hold, the forms, the score card, and a small run of every part."""

import json

import jax
import numpy as np
import pytest
import small
import xarray as xr
from small import installed

import experiments
from experiments import real_data
from experiments.advice import digits, elements, findings, packages, words
from experiments.advice.config import Part, RealDataConfig
from experiments.running.study import UserError
from tlx.planner import leave_one_out as loo

OPTIONS = {"tolerance": 0.05, "confidence": 0.9, "seed": 0}


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"part words needs wordllama.*pip install 'tlx\[examples\]', or choose parts="):
        experiments.run("real_data", directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_word_vectors_are_whitened_prefix_by_prefix_and_their_noise_is_known():
    installed(Part.words)
    found = packages.words()
    assert found.ratings.shape == (7179, 10)
    white = found.vectors.T @ found.vectors / 7179
    np.testing.assert_allclose(white, np.eye(256), atol=1e-9)
    known = words.truth([16, 256])
    assert known.rating_variance == pytest.approx(1.054, abs=0.001)
    assert 0 < known.misfit[256] < known.misfit[16]
    random = np.random.default_rng(0)
    for raters in (1, 4):  # the noise falls as 1/m: differences of independent pilots of the same words
        rows, labels = words.pilot(5000, raters, random)
        spread = np.mean((labels - found.ratings[rows].mean(axis=1)) ** 2)
        expected = known.rating_variance * (1 / raters - 1 / 10)
        assert abs(spread / expected - 1) < 4 * np.sqrt(4 / 5000)


def test_fits_are_what_their_names_say():
    random = np.random.default_rng(1)
    inputs, labels = random.normal(size=(80, 256)), random.normal(size=80)
    found = words.fitted(inputs, labels, 8)
    assert all(len(weights) == 257 for weights in found.values())
    np.testing.assert_allclose(inputs @ found["scratch"][:-1] + found["scratch"][-1], labels, atol=1e-8)
    probe = np.linalg.lstsq(np.column_stack([inputs[:, :8], np.ones(80)]), labels)[0]
    np.testing.assert_allclose(found["linear_transfer"][[*range(8), -1]], probe, atol=1e-10)
    assert not np.any(found["linear_transfer"][8:-1])
    assert found["null"][-1] == pytest.approx(labels.mean())
    target = inputs[:, :8] @ np.ones(8) + inputs[:, 8:] @ np.full(248, 0.1)
    best = words.fitted(inputs, target, 8)
    residual = {name: np.mean((best[name][:-1] - np.r_[np.ones(8), np.full(248, 0.1)]) ** 2) for name in best}
    assert residual["source_ridge"] < min(residual["linear_transfer"], residual["ridge_scratch"])


@pytest.mark.parametrize(("known", "noise"), [(0, 3.0), (3, 6.0)])
def test_ridge_has_the_penalty_of_least_error_on_rows_left_out(known, noise):
    """Against every penalty of the grid and every row left out, refitted one by one."""
    random = np.random.default_rng(2)
    count, dim = 14, 20
    beside = np.column_stack([np.ones(count), random.normal(size=(count, known))])
    away = np.eye(count) - beside @ np.linalg.pinv(beside)
    rows = away @ random.normal(size=(count, dim))
    labels = away @ (rows @ random.normal(size=dim) + noise * random.normal(size=count))

    def weights(kept, penalty):
        own, left = beside[kept], np.eye(len(kept)) - beside[kept] @ np.linalg.pinv(beside[kept])
        inputs = left @ rows[kept]
        on = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(dim), inputs.T @ left @ labels[kept])
        return on, np.linalg.pinv(own) @ (labels[kept] - rows[kept] @ on)

    level = np.mean(np.linalg.svd(rows, compute_uv=False)[: count - known - 1] ** 2)
    errors = []
    for penalty in loo.GRID[1:] * level:
        every = [weights(np.delete(np.arange(count), i), penalty) for i in range(count)]
        errors.append(np.mean([(rows[i] @ on + beside[i] @ off - labels[i]) ** 2 for i, (on, off) in enumerate(every)]))
    assert 5 < np.argmin(errors) < len(errors) - 5
    best = loo.GRID[1 + int(np.argmin(errors))] * level
    found = words.ridge(rows, labels, beside[:, 1:] if known else None)
    np.testing.assert_allclose(found, weights(np.arange(count), best)[0], rtol=1e-6, atol=1e-9)


def test_the_elliptical_form_is_that_of_simulated_elliptical_features():
    """|z| < 4 over 300 draws at three ratios; for equal lengths it is the exact k/(n - k - 2)."""
    random = np.random.default_rng(2)
    assert words.elliptical_factor(np.ones(5), 12, 40) == pytest.approx(12 / 26, rel=1e-9)
    for width, count in ((20, 34), (40, 80), (20, 100)):
        found, lengths = [], random.exponential(size=20000) + 0.2
        lengths /= lengths.mean()
        for _ in range(300):
            rows = np.sqrt(random.choice(lengths, count))[:, None] * random.normal(size=(count, width))
            rows -= rows.mean(axis=0)
            found.append(np.trace(np.linalg.inv(rows.T @ rows)))
        form = words.elliptical_factor(lengths, width, count)
        gauss = width / (count - width - 2)
        error = np.std(found) / np.sqrt(300) + 0.03 * form  # the limit of large k is 3 % off at these sizes
        assert abs(np.mean(found) - form) < 4 * error
        assert abs(np.mean(found) - gauss) > 2 * abs(np.mean(found) - form)


def test_the_form_on_words_misses_for_gaussian_features_and_not_with_their_lengths():
    installed(Part.words)
    random = np.random.default_rng(3)
    measured, trace = np.array([words.form(96, 64, random) for _ in range(12)]).T
    form = words.elliptical_factor(words.squared_lengths(64), 64, 96)
    for found in (measured, trace):  # of the labels, and of the features alone
        assert abs(found.mean() - form) < 4 * found.std() / np.sqrt(12)
    assert trace.mean() - 64 / 30 > 5 * trace.std() / np.sqrt(12)


@pytest.mark.thorough
def test_a_pilot_of_words():
    installed(Part.words)
    one = words.trial(150, 16, 10, np.random.default_rng(4), OPTIONS)
    assert one["error"].shape == (len(words.PROTOCOLS),)
    assert np.all(one["error"] > 0)
    assert one["noise"][1] < np.sqrt(words.truth([256]).misfit[256] + 0.105) < one["noise"][2]
    assert one["broken"]  # the lengths of word vectors are far from those of Gaussian ones
    assert set(one["advice"]) <= {*range(-1, len(words.PROTOCOLS))}


@pytest.mark.thorough
def test_representations_of_the_elements_and_the_control():
    installed(Part.elements)
    found = packages.elements("electronegativity")
    assert len(found.symbols) > 80
    assert set(found.features) == set(packages.REPRESENTATIONS)
    for columns in found.features.values():
        np.testing.assert_allclose(columns.std(axis=0), 1, atol=1e-9)
    trials = [elements.trial("electronegativity", 60, np.random.default_rng(i), OPTIONS) for i in range(3)]
    mean = np.mean([trial["error"] for trial in trials], axis=0)
    held = np.mean([trial["score"][0] for trial in trials], axis=0)
    for trial in trials:  # of more features than rows too
        assert np.isfinite(trial["score"][:, : len(packages.REPRESENTATIONS)]).all()
        assert np.isfinite(trial["score"][0]).all()
    assert mean[elements.NAMES.index("together")] < 1.25 * np.min(mean)
    control = elements.NAMES.index("random")
    assert mean[control] > 2 * np.min(mean)
    assert held[control] > 2 * np.min(held)
    assert findings._spearman(held, mean) > 0.4
    assert mean[elements.NAMES.index("null")] == pytest.approx(1.0, abs=0.3)  # labels have variance 1


def test_digits_are_split_without_overlap_and_every_class_is_seen():
    rows, test = digits.split(20, 3, 0)
    labels = packages.digits()[1]
    assert (len(rows), len(test)) == (20, 250)
    assert not set(rows) & set(test)
    assert set(labels[rows]) == set(labels[test]) == set(range(5, 10))
    assert set(labels[digits.data()[2]]) == set(range(5))


@pytest.mark.slow
def test_the_probe_of_a_network_is_ridge_at_its_best_penalty(x64):
    params = digits.start(jax.random.key(0), 12)
    pixels, targets, _, target = digits.data()
    inputs, labels = pixels[target[:40]].astype(float), targets[target[:40]].astype(float)
    kernel, bias = map(np.asarray, digits.probe(params, inputs, labels))
    found = np.asarray(digits.features(params, inputs))
    rows = found - found.mean(axis=0)
    fits = []
    for penalty in digits._PENALTIES * np.mean(np.maximum(np.linalg.eigvalsh(rows @ rows.T), 0)):
        fits.append(np.linalg.solve(rows.T @ rows + penalty * np.eye(12), rows.T @ (labels - labels.mean(axis=0))))
    assert min(np.max(np.abs(fit - kernel)) for fit in fits) < 1e-8
    np.testing.assert_allclose(bias, labels.mean(axis=0) - found.mean(axis=0) @ kernel, atol=1e-10)


def test_the_score_card_counts_what_was_said():
    """Best 1.0; methods at 1.04, 1.08, 1.2 and 1.5 of it; one pilot undecided, one not asked."""
    errors = np.tile([1.0, 1.04, 1.08, 1.2, 1.5], (7, 1))
    found = findings.score(errors, np.array([0, 1, 2, 3, 4, -1, -2]))
    assert found == findings.Score(asked=6, spoke=5, right=2, within=3, harmful=1)
    errors[:, 0] = np.nan  # a method that no pilot allows
    assert findings.score(errors, np.array([1, 1, 2, 3, 4, -1, -2])).right == 3
    assert "no case" in findings.within(np.array([np.nan]), np.zeros(1), np.ones(1))
    assert "50 % of 2" in findings.within(np.array([0.0, 5.0]), np.zeros(2), np.ones(2))


@pytest.mark.slow
def test_bad_configurations_are_refused_before_anything_is_computed():
    for word, message in {
        "parts=[]": "at least one",
        "parts=[digits,digits]": "each part once",
        "confidence=0.2": "confidence = 0.2",
        "words.num_features=[300]": r"num_features = \[300\].*1 to 256",
        "words.num_samples=[20]": "30 to 5,000",
        "words.num_raters=[0]": "1 to 10",
        "words.ratios=[0.5]": "words.ratios",
        "elements.num_samples=[80.5]": "whole numbers",
        "digits.num_samples=[5]": "10 to 600",
        "digits.width=0": "digits.width = 0",
        "digits.learning_rate=0": "digits.learning_rate = 0",
    }.items():
        part = word.partition(".")[0]
        if part in ("words", "elements"):
            installed(Part(part))
        chosen = part if part in ("words", "elements") else "digits"
        own = [] if word.startswith("parts") else [f"parts=[{chosen}]"]
        with pytest.raises((UserError, ValueError), match=message):
            real_data.RealData().axes(small.composed("real_data", [*own, word]))
    assert RealDataConfig().parts == list(Part)


@pytest.mark.thorough
def test_every_part_runs_and_its_page_holds_the_score_card(tmp_path):
    for part in Part:
        installed(part)
    words_ = [*small.SMALL["real_data"][1:], "words.num_samples=[40,90]", "words.num_features=[16,64]"]
    words_ += ["words.num_raters=[10]", "words.ratios=[2.0]", "elements.num_samples=[20]"]
    data = experiments.run("real_data", words_, directory=tmp_path, quiet=True)
    assert set(data.words_advice.sel(words_features=64, words_samples=40).values.ravel()) == {-2}
    assert np.isnan(data.words_error.sel(words_features=64, words_samples=40)).all()
    summary = json.loads((tmp_path / "summary.json").read_text())
    card = summary["tables"]["score_card"]
    assert card["words, all methods"]["asked"] == 3 * data.sizes["instance"]
    assert card["digits"]["asked"] == 1 < data.sizes["instance"]  # digits.advised
    assert {"advice.png", "errors.pdf"} <= set(summary["files"])
    assert "the planner" in summary["notes"]
    with xr.open_dataset(tmp_path / "results.nc") as kept:
        assert kept.words_error.dims[-1] == "words_protocol"
