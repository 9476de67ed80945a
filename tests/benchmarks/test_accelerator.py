"""The one-call benchmark of an accelerator, at small size on a CPU, with nothing but the numerical packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# what a bare GPU machine lacks
LACKING = ("hydra", "omegaconf", "xarray", "netCDF4", "matplotlib")
BLOCKED = f"import sys\nsys.modules.update(dict.fromkeys({LACKING}))\n"
PROGRAM = BLOCKED + "from benchmarks.accelerator import main\nraise SystemExit(main(sys.argv[1:]))"


@pytest.mark.extended
@pytest.mark.slow
def test_one_call_measures_everything_with_numerical_packages_alone(tmp_path):
    output = tmp_path / "found.json"
    command = [sys.executable, "-c", PROGRAM, "--scale", "small", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())["accelerator"]
    assert found["limits"]["copy_bytes_per_second"] > 1e7
    assert found["relu"]["microseconds_per_step"] > 0  # timed alone, not as a difference
    for name in ("full", "spectral", "relu"):
        row = found[name]
        if isinstance(row["microseconds_per_step"], str):
            continue  # a busy machine: the benchmark says so itself
        assert row["of_bandwidth"] == pytest.approx(row["bound_microseconds_per_step"] / row["microseconds_per_step"])
    assert found["flow"]["lanes_per_second"] > 0
    assert found["devices"]["devices"] == 2
