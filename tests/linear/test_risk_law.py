"""The law of linear transfer's risk: F with 1 and n degrees of freedom, and a test of cells that rests on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from experiments.linear import law
from tlx.linear.setting import LinearSetting

ANGLES, COUNTS, INSTANCES = np.array([0.3, 0.7, 1.5]), np.array([3, 12, 40]), 400


def risks(key, noise, target_norm=1.0):
    """Risks of least squares on one feature, (theta, n, instance), from nothing but draws of inputs and labels."""
    out = np.empty((len(ANGLES), len(COUNTS), INSTANCES))
    for i, theta in enumerate(ANGLES):
        for j, count in enumerate(COUNTS):
            draws = jax.random.normal(jax.random.fold_in(key, 10 * i + j), (3, INSTANCES, count))
            feature, other, label_noise = draws
            labels = target_norm * (jnp.cos(theta) * feature + jnp.sin(theta) * other) + noise * label_noise
            fitted = jnp.sum(feature * labels, -1) / jnp.sum(feature**2, -1)
            out[i, j] = (target_norm * np.sin(theta)) ** 2 + (fitted - target_norm * np.cos(theta)) ** 2
    return out


def dataset(risk, instances, norm=1.0):
    """What a study has of these risks; many cells of few instances each."""
    shape = (len(ANGLES), len(COUNTS), instances)
    cosine = np.broadcast_to(norm * np.cos(ANGLES)[:, None, None], shape)
    cell = ("theta", "sample_ratio", "instance")
    return xr.Dataset(
        {
            "risk": (("protocol", *cell), risk[None]),
            "status": (("protocol", *cell), np.zeros((1, *shape), np.int8)),
            "pretrained_norm": (cell, np.ones(shape)),
            "pretrained_overlap": (cell, cosine),
            "num_features": (cell, np.ones(shape, int)),
        },
        {
            "protocol": ["linear_transfer"], "theta": ANGLES, "ridge": [0.0],
            "num_samples": ("sample_ratio", COUNTS), "sample_ratio": COUNTS / 20,
        },
    )  # fmt: skip


@pytest.mark.slow
def test_the_law_holds_and_four_instances_reject_as_often_as_they_should():
    """Uniform probabilities, where Student's t rejects 5 % of the cells at 3: also with another norm."""
    norm, noise = 1.5, 0.3
    every = risks(jax.random.key(3), noise, norm)
    setting = LinearSetting(dim=20, depth=2, noise_std=noise, target_norm=norm)
    found = [
        law.deviates(setting, dataset(every[..., at : at + 4], 4, norm)) for at in range(0, INSTANCES, 4)
    ]  # 900 cells
    assert stats.kstest(np.concatenate(found).ravel(), "norm").pvalue > 1e-3
    assert np.mean(np.abs(found) > 3) < 0.01


@pytest.mark.slow
def test_a_wrong_theory_is_rejected():
    setting = LinearSetting(dim=20, depth=2, noise_std=0.6)
    found = law.deviates(setting, dataset(risks(jax.random.key(4), 0.3), INSTANCES))
    assert np.all(found[:2] < -3)


def test_what_has_another_law_is_left_to_students_t():
    risk = risks(jax.random.key(5), 0.3)[..., :4]
    usual = LinearSetting(dim=20, depth=2, noise_std=0.3)
    assert np.all(np.isnan(law.deviates(LinearSetting(dim=20, depth=2, source_samples=30), dataset(risk, 4))))
    ridge = dataset(risk, 4).assign_coords(ridge=[0.1])
    assert np.all(np.isnan(law.deviates(usual, ridge)))
    turned = dataset(risk, 4)
    turned["pretrained_overlap"] = turned.pretrained_overlap.copy()
    turned.pretrained_overlap.values = turned.pretrained_overlap.values.copy()
    turned.pretrained_overlap.values[1, 2, 0] += 0.01
    found = law.deviates(usual, turned)
    assert np.isnan(found[1, 2])
    assert np.isfinite(found).sum() == found.size - 1
