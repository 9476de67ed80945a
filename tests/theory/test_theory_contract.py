"""The public names, their defaults, and the numbers that were checked against simulated gradient descent."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from tlx import theory

PI = np.pi


def test_signatures_are_kept():
    inf = float("inf")
    assert list(inspect.signature(theory.scratch_risk).parameters)[:4] == [
        "sample_ratio",
        "noise_std",
        "target_norm",
        "dim",
    ]
    linear = inspect.signature(theory.linear_transfer_risk).parameters
    assert list(linear)[:2] == ["overlap_angle", "noise_std"]
    defaults = {"num_samples": inf, "ridge": 0.0, "target_norm": 1.0, "source_ratio": inf, "source_noise_std": 0.0}
    assert {name: linear[name].default for name in defaults} == defaults
    tuned = inspect.signature(theory.fine_tuning_risk).parameters
    assert list(tuned)[:3] == ["overlap_angle", "sample_ratio", "noise_std"]
    defaults = {
        "depth": 2,
        "target_norm": 1.0,
        "source_norm": 1.0,
        "source_ratio": inf,
        "source_noise_std": 0.0,
        "published": False,
        "trained_layers": None,
    }
    assert {name: tuned[name].default for name in defaults} == defaults
    assert next(iter(inspect.signature(theory.transferability).parameters)) == "protocol"
    assert list(inspect.signature(theory.optimal_ridge_risk).parameters)[:2] == ["sample_ratio", "noise_std"]
    pair = ["overlap_angle", "sample_ratio", "noise_std"]
    for function, more in (
        (theory.l2sp_risk, ["penalty", "target_norm", "source_norm"]),
        (theory.optimal_l2sp_risk, ["target_norm", "source_norm"]),
        (theory.source_ridge_risk, ["penalty", "target_norm", "num_samples"]),
        (theory.optimal_source_ridge_risk, ["target_norm", "num_samples"]),
    ):
        assert list(inspect.signature(function).parameters)[: 3 + len(more)] == pair + more
    for function in (theory.scratch_risk, theory.linear_transfer_risk, theory.fine_tuning_risk):
        kinds = [p.kind for p in inspect.signature(function).parameters.values() if p.default is not p.empty]
        assert set(kinds) == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("options", "noise", "exact", "published"),
    [
        ({"depth": 2}, 1.0, 1.384, 1.293),
        ({"depth": 4}, 1.0, 1.496, 1.293),
        ({"depth": 2, "target_norm": 2.0}, 0.0, 1.007, 1.086),
        ({"depth": 2, "source_ratio": 0.5, "source_noise_std": 0.2}, 0.2, 0.486, 0.456),
    ],
)
def test_checked_fine_tuning_numbers(options, noise, exact, published):
    assert float(theory.fine_tuning_risk(PI / 4, 0.5, noise, **options)) == pytest.approx(exact, abs=5e-4)
    assert float(theory.fine_tuning_risk(PI / 4, 0.5, noise, published=True, **options)) == pytest.approx(
        published, abs=5e-4
    )


def test_one_pair_changes_sign_three_times():
    edges = theory.negative_transfer_boundary("linear_transfer", PI / 4, 0.2)
    np.testing.assert_allclose(edges, [0.549, 0.911, 1.080], atol=5e-4)
    between = jnp.array([0.3, 0.7, 0.95, 1.0, 1.05, 1.5])
    signs = theory.transfer_sign("linear_transfer", PI / 4, between, 0.2)
    np.testing.assert_array_equal(signs, [1, -1, 1, 1, 1, -1])
