"""The study of learned kernels from its command line, at smoke size."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.extended
@pytest.mark.slow
def test_the_learned_kernel_approaches_the_source_teachers(tmp_path):
    small = ["ensemble.num_instances=2", "task.dim=8", "task.num_neurons=4", "network.width=24", "num_records=6"]
    command = [sys.executable, "-m", "experiments.relu_kernels", *small, f"hydra.run.dir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "relu_kernels.png").stat().st_size > 10_000
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert np.all(data.alignment_source.isel(step=-1) > data.alignment_source.isel(step=0))
        assert np.all(data.source_loss.isel(step=-1) < 1e-3)
        assert np.all(np.diff(data.overlap, axis=-1) <= 1e-5)  # a higher cut-off keeps fewer features
