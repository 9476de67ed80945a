"""Some layers frozen: full matrices by gradient descent against the form of as many layers as train."""

import numpy as np
import pytest
from theory_simulation import descend_chain, fine_tuned, labelled, min_norm, pair, risk, z_score

from tlx import theory

DEPTH = 4


def drawn(count=12, dim=30, samples=12, noise=1.0):
    target, source = pair(dim, np.pi / 4)
    return target, source, *labelled(np.random.default_rng(7), count, samples, target, noise)


@pytest.mark.parametrize("trained", [(0,), (0, 1), (0, 3), (0, 1, 2), (0, 2, 3), (0, 1, 2, 3)])
def test_the_end_depends_on_how_many_layers_train(trained):
    """Four layers, seven masks with the next test: data set by data set, with an error of first order in the step."""
    _, source, inputs, labels = drawn()
    exact, _ = fine_tuned(inputs, labels, source, len(trained))
    wrong, _ = fine_tuned(inputs, labels, source, len(trained) - 1 or 2)
    gaps = []
    for step in (0.02, 0.01):
        ends = descend_chain(inputs, labels, source, DEPTH, step, int(60 / step), trained=trained)
        gaps.append(np.linalg.norm(ends - exact, axis=-1))
    if len(trained) == 1:  # one trained layer is linear: no error of the step
        assert np.max(gaps[1]) < 1e-3
    else:
        assert 0.35 < np.mean(gaps[1]) / np.mean(gaps[0]) < 0.65
    assert np.mean(np.linalg.norm(exact - wrong, axis=-1)) > 4 * np.mean(gaps[1])


def test_first_layer_frozen_is_linear_transfer():
    target, source, inputs, labels = drawn(count=400, dim=20, samples=10)
    ends = descend_chain(inputs, labels, source, DEPTH, 0.05, 600, trained=(1, 2, 3))
    seen = inputs @ source
    refitted = (np.sum(seen * labels, -1) / np.sum(seen**2, -1))[:, None] * source
    kept_sign = np.sum(seen * labels, -1) > 0.2 * np.sum(seen**2, -1)  # through zero the chain creeps
    np.testing.assert_allclose(ends[kept_sign], refitted[kept_sign], atol=1e-3)
    expected = float(theory.linear_transfer_risk(np.pi / 4, 1.0, num_samples=10))
    assert abs(z_score(risk(refitted, target), expected)) < 4


@pytest.mark.slow
@pytest.mark.parametrize("trained", [1, 2, 4])
def test_mean_over_data_sets_and_power(x64, trained):
    """Four layers, sigma = 1, 400 data sets at d = 40: c = 1 holds for one trained layer and is rejected for two."""
    rng, dim, samples = np.random.default_rng(trained), 40, 20
    target, source = pair(dim, np.pi / 4)
    inputs, labels = labelled(rng, 400, samples, target, 1.0)
    ends = descend_chain(inputs, labels, source, DEPTH, 0.008, 4000, trained=range(trained))
    saved = risk(min_norm(inputs, labels), target) - risk(ends, target)
    options = {"depth": DEPTH, "trained_layers": trained, "dim": dim}
    exact = float(theory.fine_tuning_gain(np.pi / 4, 0.5, 1.0, **options))
    published = float(theory.fine_tuning_gain(np.pi / 4, 0.5, 1.0, published=True, dim=dim))
    assert abs(z_score(saved, exact)) < 4
    if trained == 1:
        assert exact == pytest.approx(published, rel=1e-12)
    else:
        assert abs(z_score(saved, published)) > 5


def test_low_rank_update_of_the_first_layer():
    """LoRA, W_1(0) + U V^T from a small U and V = 0, four layers: it ends at beta_pre + X^+ (y - X beta_pre), c = 1."""
    _, source, inputs, labels = drawn(count=8)
    rank, width, size = 2, 3, 1e-3
    rng, (count, samples, dim) = np.random.default_rng(1), inputs.shape
    inner = np.ones(width) / np.sqrt(width)
    left, right = size * rng.normal(size=(count, dim, rank)), np.zeros((count, width, rank))
    for _ in range(3000):
        beta = source + np.einsum("kdr,kwr,w->kd", left, right, inner)  # the layers above have norm 1
        slope = 2 / samples * np.einsum("kn,knd->kd", np.einsum("knd,kd->kn", inputs, beta) - labels, inputs)
        back = np.einsum("kd,kdr->kr", slope, left)[:, None, :] * inner[None, :, None]
        left = left - 0.02 * slope[:, :, None] * np.einsum("kwr,w->kr", right, inner)[:, None, :]
        right = right - 0.02 * back
    published = min_norm(inputs, labels) + source - min_norm(inputs, inputs @ source)
    exact, _ = fine_tuned(inputs, labels, source, DEPTH)
    assert np.max(np.linalg.norm(beta - published, axis=-1)) < 0.02
    assert np.min(np.linalg.norm(exact - published, axis=-1)) > 0.04


@pytest.mark.slow
def test_forms_and_boundaries_take_the_number_of_trained_layers(x64):
    angles, ratios = np.linspace(0.1, 1.5, 5)[:, None], np.array([0.2, 0.6, 1.5])[None]
    options = {"source_ratio": 0.7, "source_noise_std": 0.2, "target_norm": 1.3}
    for trained in (1, 2, 3):
        kept = {"depth": 5, "trained_layers": trained}
        short = {"depth": trained}
        for call in (
            lambda **o: theory.fine_tuning_risk(angles, ratios, 0.8, **options, **o),
            lambda **o: theory.method_risk("fine_tuning", angles, ratios, 0.8, **options, **o),
            lambda **o: theory.transferability("fine_tuning", angles, ratios, 0.8, **options, **o),
            lambda **o: theory.negative_transfer_boundary("fine_tuning", angles, 0.8, **options, **o),
            lambda **o: theory.break_even_angle("fine_tuning", ratios, 0.8, **options, **o),
        ):
            np.testing.assert_allclose(call(**kept), call(**short), rtol=1e-13)
    one = theory.fine_tuning_risk(angles, ratios, 0.8, depth=4, trained_layers=1)
    np.testing.assert_allclose(one, theory.fine_tuning_risk(angles, ratios, 0.8, published=True), rtol=1e-13)


@pytest.mark.parametrize("trained", [0, 3, -1])
def test_layers_that_do_not_exist(trained):
    for call in (
        lambda: theory.fine_tuning_risk(0.4, 0.5, 0.2, trained_layers=trained),
        lambda: theory.break_even_angle("fine_tuning", 0.5, 0.2, trained_layers=trained),
        lambda: theory.negative_transfer_boundary("fine_tuning", 0.5, 0.2, trained_layers=trained),
        lambda: theory.transferability("fine_tuning", 0.5, 0.5, 0.2, trained_layers=trained),
    ):
        with pytest.raises(ValueError, match="trained_layers"):
            call()
