"""A finite, noisy source set near n_s = d: the noise's size has no variance there and is integrated, not expanded."""

import numpy as np
import pytest
from theory_simulation import fine_tuned, labelled, min_norm, pair, risk, z_score

from tlx import theory


def learned_cosine(rng, count, samples, dim, noise):
    """cos^2 between the source task and its minimum-norm fit, of `count` source sets."""
    source = np.eye(dim)[0]
    fits = np.concatenate([min_norm(*labelled(rng, count // 4, samples, source, noise)) for _ in range(4)])
    return fits[:, 0] ** 2 / np.sum(fits**2, -1)


# dim, n_s, sigma_s, and 1 - E cos^2 as the second-order expansion in the noise's size had it (None: it gave no number)
SOURCES = [
    (61, 65, 1.0, 0.848),
    (61, 58, 1.0, None),
    (61, 61, 1.0, 1.0),
    (23, 30, 0.5, 0.4123),
    (40, 20, 0.6, None),
    (15, 40, 1.0, None),
]


@pytest.mark.parametrize(("dim", "samples", "noise", "expanded"), SOURCES)
def test_alignment_of_the_pretrained_vector(x64, dim, samples, noise, expanded):
    """At theta = 0 and n = inf the risk of linear transfer is 1 - E cos^2, to the share found by chance: 4,000 sets."""
    rng = np.random.default_rng(samples)
    measured = 1 - learned_cosine(rng, 4000, samples, dim, noise)
    options = {"source_ratio": samples / dim, "source_noise_std": noise, "dim": dim}
    assert abs(z_score(measured, float(theory.linear_transfer_risk(0.0, 0.0, **options)))) < 4
    if expanded is not None:
        assert abs(z_score(measured, expanded)) > 6


@pytest.mark.parametrize("source_samples", [58, 65, 67])
def test_linear_transfer_near_as_many_source_samples_as_dimensions(x64, source_samples):
    """d = 61, n = 30, theta = .4, sigma = .3, sigma_s = 1: it gave .9057 at n_s = 65, 39 standard errors off."""
    rng, dim = np.random.default_rng(source_samples), 61
    target, source = pair(dim, 0.4)
    learned = min_norm(*labelled(rng, 4000, source_samples, source, 1.0))
    learned /= np.linalg.norm(learned, axis=-1, keepdims=True)
    inputs, labels = labelled(rng, 4000, 30, target, 0.3)
    seen = np.einsum("knd,kd->kn", inputs, learned)
    measured = risk((np.sum(seen * labels, -1) / np.sum(seen**2, -1))[:, None] * learned, target)
    options = {"num_samples": 30, "source_ratio": source_samples / dim, "source_noise_std": 1.0, "dim": dim}
    expected = float(theory.linear_transfer_risk(0.4, 0.3, **options))
    assert abs(z_score(measured, expected)) < 4
    if source_samples == 65:
        assert expected == pytest.approx(0.9609, abs=1.5e-3)
        assert z_score(measured, 0.9057) > 20


# angle, sigma, depth, r, rho, n_s, sigma_s, and the gain as the second-order expansion had it
GAINS = [(0.4, 0.3, 7, 0.1, 10.0, 64, 20.0, -41.85), (0.4, 0.3, 7, 1.0, 1.0, 67, 1.0, -0.7882)]


@pytest.mark.slow
@pytest.mark.parametrize("case", GAINS)
def test_gain_of_fine_tuning_near_as_many_source_samples_as_dimensions(x64, case):
    """d = 61, n = 30, 4,000 pairs of data sets; the expansion was off by a factor of four in the first case."""
    angle, noise, depth, norm, source_norm, source_samples, source_noise, expanded = case
    rng, dim = np.random.default_rng(source_samples), 61
    target, source = pair(dim, angle, norm, source_norm)
    start = min_norm(*labelled(rng, 4000, source_samples, source, source_noise))
    tuned, scratch = fine_tuned(*labelled(rng, 4000, 30, target, noise), start, depth)
    saved = risk(scratch, target) - risk(tuned, target)
    expected = theory.fine_tuning_gain(
        angle, 30 / dim, noise, depth=depth, target_norm=norm, source_norm=source_norm,
        source_ratio=source_samples / dim, source_noise_std=source_noise, dim=dim,
    )  # fmt: skip
    assert abs(z_score(saved, float(expected))) < 4
    assert abs(z_score(saved, expanded)) > 4


def test_dimension_of_one_is_refused():
    """Two tasks at an angle need two dimensions: it gave NaN."""
    for call in (theory.linear_transfer_risk, lambda t, s, **o: theory.fine_tuning_risk(t, 0.5, s, **o)):
        with pytest.raises(ValueError, match="dim = 1"):
            call(0.4, 0.3, dim=1, source_ratio=0.5)
    assert np.isfinite(theory.scratch_risk(5.0, 0.3, dim=1))
