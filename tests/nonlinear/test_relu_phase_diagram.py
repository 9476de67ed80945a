"""The study from its command line: results, predictions and figures at smoke size, and refusals before compute."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from experiments.nonlinear import theory as _nonlinear_theory

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ["ensemble.num_instances=2", "task.dim=6", "task.num_neurons=4", "network.width=8", "optimizer.num_steps=60"]
SMOKE += ["pretraining.num_steps=200", "num_test=500", "grid.amounts=[0.25,0.5]"]


def study(*overrides):
    command = [sys.executable, "-m", "experiments.relu_phase_diagram", *SMOKE, *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["relu_laptop", "relu_paper", "relu_gpu"])
def test_every_preset_gives_results_and_figures_at_smoke_size(tmp_path, preset):
    grid = ["grid.sample_sizes=[10,40]"]
    done = study(f"experiment={preset}", *grid, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.risk.dims == ("method", "amount", "num_samples", "instance")
        assert np.all(np.isfinite(data.risk.sel({"method": "fine_tuning"})))
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
    done = study(override, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 2
    assert message in done.stderr
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
