"""The overlap study from its command line, at smoke size."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["ensemble.num_instances=1", "task.dim=6", "task.num_neurons=4", "network.width=12", "num_test=1000"]
SMALL += ["optimizer.num_steps=100", "pretraining.num_steps=500", "standard_num_steps=50", "grid.fractions=[0,1]"]


def study(*overrides):
    command = [sys.executable, "-m", "experiments.overlap", *SMALL, *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_linear_transfer_follows_one_line_over_networks_and_families(tmp_path):
    grid = ["grid.networks=[mean_field-2-relu,standard-3-tanh]", "grid.families=[removal,rotation]"]
    done = study(*grid, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "overlap.png").stat().st_size > 10_000
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.risk.dims == ("method", "network", "family", "fraction", "instance")
        slope, _, explained = np.asarray(data.attrs["line_linear_transfer"])
        assert abs(slope - 1) < 0.2
        assert explained > 0.9


def test_a_misspelt_network_is_one_message(tmp_path):
    done = study("grid.networks=[deep-relu]", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 2
    assert "scaling" in done.stderr
