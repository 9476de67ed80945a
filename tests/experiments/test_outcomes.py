"""What a run tells: lanes that fail are counted and never averaged, results are never overwritten, help explains."""

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import small
import xarray as xr
from omegaconf import OmegaConf

from experiments.running import compose
from experiments.running import help as _help
from experiments.running.files import StoreError
from experiments.running.study import UserError


@pytest.mark.slow
def test_diverged_lanes_are_counted_and_never_averaged(tmp_path, capsys):
    """A step size beyond stability: marked, counted, answered with the stable one, and no NaN reaches a mean."""
    small.run("phase_diagram", tmp_path, "optimizer.learning_rate=3.0", "pretraining.learning_rate=0.01", "figures=[]")
    said = capsys.readouterr().out
    counts = json.loads((tmp_path / "summary.json").read_text())["lanes_by_status"]
    failed = sum(counts["fine_tuning"].get(name, 0) for name in ("diverged", "non_finite"))
    assert failed > 0
    assert "stable" in said
    assert "optimizer.learning_rate" in said
    with xr.open_dataset(tmp_path / "results.nc") as data:
        bad = data.status.values >= 2
        assert bad.sum() >= failed
        whole = ~bad.any(-1)
        assert np.isfinite(data.risk_mean.values[whole]).all()
        none_left = bad.all(-1)
        assert np.isnan(data.risk_mean.values[none_left]).all()


@pytest.mark.slow
def test_another_configuration_does_not_overwrite_a_result(tmp_path):
    small.run("scratch_risk", tmp_path, "engine=flow", "figures=[]")
    before = (tmp_path / "results.nc").read_bytes()
    with pytest.raises(UserError, match=r"hydra\.run\.dir"):
        small.run("scratch_risk", tmp_path, "engine=flow", "figures=[]", "task.noise_std=0.7")
    assert (tmp_path / "results.nc").read_bytes() == before


@pytest.mark.slow
def test_the_same_seed_gives_the_same_and_another_does_not(tmp_path):
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        small.run("scratch_risk", tmp_path / name, "engine=flow", "figures=[]", f"seed={seed}")
        with xr.open_dataset(tmp_path / name / "results.nc") as data:
            runs[name] = data.risk.values.copy()
    np.testing.assert_array_equal(runs["a"], runs["b"])
    assert (runs["a"] != runs["c"]).all()


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices (JAX_NUM_CPU_DEVICES=2)")
def test_the_number_of_devices_changes_no_number(tmp_path):
    found = []
    for devices in (1, 2):
        small.run("phase_diagram", tmp_path / str(devices), "figures=[]", f"ensemble.devices={devices}")
        with xr.open_dataset(tmp_path / str(devices) / "results.nc") as data:
            found.append(data.risk.values.copy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_a_file_in_the_place_of_the_output_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises((UserError, StoreError), match=r"(cannot|could not) be written.*hydra\.run\.dir"):
        small.run("scratch_risk", tmp_path / "out", "engine=flow")


@pytest.mark.parametrize("study", sorted(small.SMALL))
def test_help_explains_every_key(study):
    """--help lists each key with its value and a meaning, and each preset of the study with its purpose."""
    config, schema = small.composed(study, []), small.study(study).Config
    text = _help.keys(schema, OmegaConf.structured(config))
    entries = [part.split("\n\n")[0] for part in re.split(r"\n(?=  \S)", text)]
    silent = [entry for entry in entries if " = " in entry and len(entry.split(" = ", 1)[1].split()) < 2]
    assert not silent, silent
    for key in compose._keys(OmegaConf.structured(schema)):
        assert key == "study" or f"  {key} = " in text
    mine = [p.stem for p in small.PRESETS if small.owner(p) == study]
    listed = _help.presets(study)
    assert all(f"experiment={name}" in listed.split() for name in mine)
    assert max(map(len, f"{text}\n{listed}".splitlines())) <= 80
    found = _help.about_keys(schema, OmegaConf.structured(config), "seed")
    assert found.startswith("  seed = 0")
    assert "draw" in found


@pytest.mark.slow
def test_help_on_the_command_line():
    command = [sys.executable, "-m", "experiments.phase_diagram", "experiment=demo", "--help"]
    found = subprocess.run(command, cwd=small.ROOT, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0
    for words in (
        "Where does transfer help?",
        "experiment=demo",
        "ensemble.num_instances = 48",
        "network=deep5",
        "results.nc",
    ):
        assert words in found.stdout
