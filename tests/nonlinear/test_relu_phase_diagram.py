"""The study at smoke size: results, predictions and figures, and refusals before compute."""

import numpy as np
import pytest

import experiments
from experiments.nonlinear import theory as _nonlinear_theory

SMOKE = ["ensemble.num_instances=2", "task.dim=6", "task.num_neurons=4", "network.width=8", "optimizer.num_steps=60"]
SMOKE += ["pretraining.num_steps=200", "num_test=500", "grid.amounts=[0.25,0.5]"]


@pytest.mark.slow
def test_results_and_figures_at_smoke_size(tmp_path):
    words = [*SMOKE, "experiment=relu_laptop", "grid.sample_sizes=[10,40]"]
    data = experiments.run("relu_phase_diagram", words, directory=tmp_path, quiet=True)
    assert data.risk.dims == ("protocol", "amount", "num_samples", "instance")
    assert np.all(np.isfinite(data.risk.sel(protocol="fine_tuning")))
    for figure in ("relu_phase_diagram", "relu_slices", "out_of_space"):
        assert (tmp_path / f"{figure}.png").stat().st_size > 10_000
        assert (tmp_path / f"{figure}.pdf").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grid.amounts=[0.99]", "neuron left"),
        ("linear_transfer.cutoff=1.0", "cutoff = 1.0"),
        ("network.width=0", "width = 0"),
        ("network.activation=gelu", "online"),
    ],
)
def test_bad_input_is_one_message_before_any_compute(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        experiments.run("relu_phase_diagram", [*SMOKE, override], directory=tmp_path, quiet=True)
    assert not (tmp_path / "results.nc").exists()


def test_a_power_law_is_found_again_with_its_interval():
    sizes = np.array([10.0, 20.0, 40.0, 80.0])
    noise = np.random.default_rng(0).normal(size=(4, 30))
    risks = 3 * sizes[:, None] ** -0.7 * np.exp(0.05 * noise)
    slope, offset = _nonlinear_theory.power_law(sizes, risks)
    low, high = np.percentile(_nonlinear_theory.bootstrap(sizes, risks, 0), (0.5, 99.5))
    assert low < -0.7 < high
    assert high - low < 0.05
    assert abs(slope + 0.7) < 0.03
    assert abs(np.exp(offset) - 3) < 0.3
