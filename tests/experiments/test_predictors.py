"""The study of predictors: its statistics against SciPy, its theory overlay against the claims, and a small run."""

import json

import numpy as np
import pytest
import small
import xarray as xr

from experiments import predictors
from experiments.prediction import findings as _predictor_findings
from experiments.prediction import linear as _linear_part
from experiments.prediction import rank_table as _rank_table
from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.running import job as _job
from experiments.running import study as _study


def test_spearman_against_scipy():
    """Ties, infinities and a constant."""
    statistics = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    first, second = rng.integers(6, size=(30, 25)).astype(float), rng.normal(size=(30, 25))
    expected = [statistics.spearmanr(a, b).statistic for a, b in zip(first, second)]
    np.testing.assert_allclose(_rank_table.spearman(first, second), expected, rtol=1e-12)
    infinite = np.array([1.0, 2.0, np.inf, np.inf, -np.inf])
    np.testing.assert_array_equal(_rank_table.ranks(infinite), [2, 3, 4.5, 4.5, 1])
    assert _rank_table.spearman(np.ones(5), np.arange(5.0)) == 0
    assert _rank_table.spearman(np.ones(5) + 1e-9 * np.arange(5), np.arange(5.0)) == 0  # equal to rounding


@pytest.mark.extended
@pytest.mark.slow
def test_bootstrap_interval_covers_the_population():
    """200 samples of 40 correlated normal pairs: the 95 % interval covers in 90 to 99.5 % (nominal minus 3 se)."""
    rng, rho = np.random.default_rng(1), 0.6
    exact = 6 / np.pi * np.arcsin(rho / 2)
    hits = 0
    for i in range(200):
        x = rng.normal(size=40)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=40)
        whole, (low, high) = _rank_table.correlations(x[None], y[None], 200, i)
        assert low <= whole <= high
        hits += low[0, 0] <= exact <= high[0, 0]
    assert 0.90 <= hits / 200 <= 0.995


def test_the_three_sign_changes_are_found_by_the_theory():
    """θ = π/4, σ = .2 in the limit: n/d = .549, .911, 1.080; other noise moves them, a right angle leaves the band."""
    config = PredictorsConfig()
    ratio = np.linspace(0.1, 1.8, 4001)

    def changes(theta, noise):
        risk = _linear_part.risks(config, theta, 1.0, noise, ratio * config.task.dim, exact=False)
        return _predictor_findings._sign_changes(ratio, risk[0] - risk[1])

    np.testing.assert_allclose(changes(np.pi / 4, 0.2), [0.549, 0.911, 1.080], atol=6e-4)
    assert len(changes(0.2, 1.0)) == 0 or changes(0.2, 1.0)[0] > 1


@pytest.mark.parametrize(("last", "said"), [(8.0, "2 to 8, like c^2.00 at the end."), (-1.0, "2 to -1.")])
def test_a_power_law_is_read_off_positive_gains_alone(last, said):
    measures = list(_rank_table.MEASURES)
    data = xr.Dataset(
        {
            "linear_transferability": (("protocol", "linear_task"), [[2.0, last]]),
            "linear_value": (("measure", "linear_task"), np.ones((len(measures), 2))),
            "dudley_lower": ("linear_task", np.ones(2)),
        },
        {"protocol": ["linear_transfer"], "measure": measures, "linear_target_norm": ("linear_task", [1.0, 2.0])},
    )
    assert _predictor_findings._claim_a(data, np.array([True, True])).endswith(f"linear transfer {said}")


@pytest.mark.extended
@pytest.mark.slow
def test_divergences_order_theory_up_to_a_right_angle_and_not_beyond():
    config = PredictorsConfig()
    every = [task for task in tasks.linear(config) if task.part == "angles"]
    theta = np.array([task.theta for task in every])
    risk = _linear_part.risks(config, theta, 1.0, 0.2, np.array([task.num_samples for task in every]))
    gain, values = risk[0] - risk[1], _linear_part.distances(config, every)
    half = tasks.members(every, tasks.HALF)
    for name in ("kullback_leibler", "squared_hellinger", "wasserstein_1", "mmd", "dudley"):
        row = values[_rank_table.DISTANCES.index(name)]
        assert _rank_table.spearman(row[half], gain[half]) == pytest.approx(-1, abs=1e-12), name
        assert abs(_rank_table.spearman(row, gain)) < 1e-9, name
    np.testing.assert_allclose(values[0], (1 - np.cos(theta)) / 0.2**2, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_scaled_targets_are_arbitrarily_far_and_transfer_like_their_square():
    config = PredictorsConfig()
    every = [task for task in tasks.linear(config) if task.part == "norms"]
    norm = np.array([task.norm for task in every])
    risk = _linear_part.risks(config, 0.0, norm, 0.2, every[0].num_samples)
    values = dict(zip(_rank_table.DISTANCES, _linear_part.distances(config, every)))
    np.testing.assert_allclose(values["kullback_leibler"], (norm - 1) ** 2 / (2 * 0.2**2), rtol=1e-6)
    assert values["wasserstein_1"][-1] > 20
    assert np.all(values["dudley"] <= 2)
    np.testing.assert_allclose(np.diff((risk[0] - risk[1]) / norm**2)[-1], 0, atol=1e-3)


def test_ensembles_vary_what_they_say():
    config = PredictorsConfig()
    fixed = {
        "angle in [0, π/2]": ("norm", "noise", "num_samples"),
        "angle in [0, π]": ("norm", "noise", "num_samples"),
        "target norm": ("theta", "noise", "num_samples"),
        "noise and n": ("theta", "norm"),
        "all": (),
    }
    for every in (tasks.linear(config), tasks.relu(config)):
        assert len({task.label for task in every}) == len(every)
        for ensemble, names in fixed.items():
            chosen = [task for task, inside in zip(every, tasks.members(every, ensemble)) if inside]
            assert len(chosen) >= 9
            for name in ("theta", "norm", "noise", "num_samples"):
                assert (len({getattr(task, name) for task in chosen}) == 1) == (name in names), (ensemble, name)
            assert len({task.draw for task in chosen}) == (len(chosen) if ensemble == "all" else 1)


def test_every_unit_has_its_own_name():
    config = small.composed("predictors", small.SMALL["predictors"])
    names = [unit.name for unit in _study.units(predictors.Predictors(), config)]
    assert len(set(names)) == len(names) == 5


@pytest.mark.extended
@pytest.mark.slow
def test_a_small_run_leaves_a_whole_table_and_two_figures(tmp_path, capsys):
    config = small.composed("predictors", small.SMALL["predictors"])
    _job.run(predictors.Predictors(), config, tmp_path)
    capsys.readouterr()
    with xr.open_dataset(tmp_path / "results.nc") as data:
        table = data.rank_correlation
        assert table.dims == ("ensemble", "measure", "transfer")
        assert table.shape == (10, 14, 2)
        assert np.all(np.isfinite(table))
        assert np.all(np.abs(table) <= 1 + 1e-12)
        assert np.all(data.rank_correlation_low <= data.rank_correlation_high)
        assert len(data.attrs["sign_changes_limit"]) == 3
        assert json.loads(data.attrs["claim_c"])["theory [0, π/2]"] == pytest.approx(-1)
        best = data.rank_correlation.sel(ensemble="linear: angle in [0, π/2]", measure="kullback_leibler")
        name = f"{float(-best.sel(transfer='linear_transfer')):+.2f}"
    summary = json.loads((tmp_path / "summary.json").read_text())
    stored = summary["tables"]["rank_correlation"]["linear: angle in [0, π/2]"]["linear_transfer"]["kullback_leibler"]
    assert stored[0] == pytest.approx(-float(name), abs=0.01)
    assert "changes sign 3 times" in summary["notes"]
    assert "linear: all, fine-tuning:" in summary["notes"]
    for figure in ("claims", "rank_correlations"):
        assert (tmp_path / f"{figure}.png").stat().st_size > 10_000
        assert (tmp_path / f"{figure}.pdf").exists()
    _job.run(predictors.Predictors(), config, tmp_path)
    assert "already complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("engine=full", "engine=flow"),
        ("grid.sample_ratios=[0.5,1.0]", "pole at n = d"),
        ("grid.target_norms=[0.0,1.0]", "positive"),
        ("grid.num_angles=2", "num_angles = 2"),
        ("task.noise_std=0", "infinite"),
        ("relu.fixed_size=50", "relu.sizes"),
        ("network.depth=1", "learns no features"),
        ("relu.task.family=removal", "has no angle"),
        ("relu.task.custom=a.b:c", "takes its own networks"),
        ("relu.network.custom=a.b:c", "takes its own networks"),
    ],
)
def test_bad_input_is_refused_before_any_compute(override, message):
    with pytest.raises(_study.UserError, match=message):
        predictors.Predictors().axes(small.composed("predictors", [override]))
