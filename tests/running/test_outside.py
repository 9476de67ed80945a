"""A run writes into its output folder and nowhere else, and nothing in a configuration is carried out as code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import experiments
from experiments.running.study import UserError

ROOT = Path(__file__).resolve().parents[2]
TINY = ["task.dim=6", "grid.sample_ratios=[0.5]", "ensemble.num_instances=2", "optimizer.num_steps=20"]


def listing(directory):
    """Every file and folder below a directory, with size and time of change."""
    found = [path for path in directory.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found if path.is_file()} | {
        str(path): "folder" for path in found if path.is_dir()
    }


@pytest.mark.slow
def test_nothing_outside_the_output_folder_is_written(tmp_path):
    """Home, temporary files, working directory and sources are as before; both caches (ours, Matplotlib's) are sent."""
    places = {name: tmp_path / name for name in ("home", "temporary", "here")}
    for place in places.values():
        place.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "JAX_", "MPL"))}
    environment |= {"HOME": str(places["home"]), "TMPDIR": str(places["temporary"]), "PYTHONPATH": str(ROOT)}
    environment |= {"JAX_NUM_CPU_DEVICES": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["MPLCONFIGDIR"] = str(tmp_path / "out/matplotlib")
    sources = {name: listing(ROOT / name) for name in ("tlx", "experiments", "conf")}
    words = [*TINY, f"hydra.run.dir={tmp_path / 'out'}", f"cache.directory={tmp_path / 'out/cache'}"]
    command = [sys.executable, "-m", "experiments.scratch_risk", *words]
    done = subprocess.run(command, cwd=places["here"], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out/results.nc").exists()
    assert (tmp_path / "out/cache").exists()
    for name, place in places.items():
        assert listing(place) == {}, name
    assert {path.name for path in tmp_path.iterdir()} == {*places, "out"}
    assert {name: listing(ROOT / name) for name in sources} == sources


@pytest.mark.parametrize(
    "word",
    [
        "+_target_=os.system",
        "task._target_=os.system",
        "+task={_target_:os.system,command:'touch HARM'}",
        "task.noise_std={_target_:os.system,command:'touch HARM'}",
        "task.noise_std=${oc.create:'touch HARM'}",
        "task.noise_std=!!python/object/apply:os.system['touch HARM']",
        "network.custom=__import__('os').system('touch HARM')",
        "task.noise_std=__import__('os').system('touch HARM')",
    ],
)
def test_code_in_a_configuration_is_refused_and_never_run(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        experiments.run("scratch_risk", [*TINY, word.replace("HARM", str(tmp_path / "harm"))], directory="out")
    assert not list(tmp_path.iterdir())
