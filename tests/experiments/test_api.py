"""The door for Python: the same results, files, resumption and sentences as the command."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import small
import xarray as xr

import experiments
from experiments.phase_diagram import PhaseDiagram
from experiments.running import api, legacy
from experiments.running.study import UserError

pytestmark = [pytest.mark.slow, pytest.mark.extended]

TINY = [*small.SMALL["phase_diagram"], "engine=flow", "figures=[]"]


def test_a_sweep_over_depth_in_eight_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import experiments

    risks = {}
    for depth in (2, 3):
        overrides = {"network.depth": depth, "engine": "flow", "task": {"dim": 12}, "figures": []}
        overrides |= {"grid": {"overlap_angles": [0.3], "sample_ratios": [0.5]}, "ensemble.num_instances": 3}
        data = experiments.run("phase_diagram", overrides, quiet=True)
        risks[depth] = float(data.risk_mean.sel(protocol="fine_tuning").squeeze())
    assert len(set(risks.values())) == 2
    assert len(list((tmp_path / "outputs/phase_diagram").iterdir())) == 2  # where the commands would put them


def test_the_same_request_computes_once_and_quiet_is_quiet(tmp_path, capsys):
    first = experiments.run("phase_diagram", TINY, directory=tmp_path, quiet=True)
    assert capsys.readouterr().out == ""
    again = experiments.run(PhaseDiagram(), TINY, directory=tmp_path)
    assert "already complete" in capsys.readouterr().out
    xr.testing.assert_identical(first, again)


def test_words_and_dicts_are_the_same_request():
    nested = {"task": {"dim": 12, "source_ratio": None}, "grid.overlap_angles": np.array([0.5, 1.0]), "force": True}
    assert api.words(nested) == ["task.dim=12", "task.source_ratio=null", "grid.overlap_angles=[0.5,1.0]", "force=true"]
    with pytest.raises(UserError, match="one string"):
        api.words("task.dim=12")


def test_an_unknown_study_is_one_sentence():
    with pytest.raises(ValueError, match=r"no study called 'phase_diagrams'; choose from comparison,"):
        experiments.run("phase_diagrams")


def test_the_command_takes_up_what_python_began(tmp_path):
    experiments.run("phase_diagram", TINY, directory=tmp_path, quiet=True)
    command = [sys.executable, "-m", "experiments.phase_diagram", *TINY, f"hydra.run.dir={tmp_path}"]
    said = subprocess.run(command, cwd=small.ROOT, capture_output=True, text=True, check=True).stdout
    assert "0 of 2 units to compute" in said


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_a_study_is_pickled_by_reference(pickler):
    text = pickler.dumps(PhaseDiagram())
    assert isinstance(pickle.loads(text), PhaseDiagram)
    assert b"experiments.phase_diagram:PhaseDiagram" in text
    assert len(text) < 200


def test_importing_a_part_stays_light():
    code = "import sys, experiments.running.store; assert 'hydra' not in sys.modules; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=small.ROOT, check=True)


def test_results_of_version_0_1_are_read_with_todays_names():
    old = xr.Dataset({"risk": (("method", "theta"), np.ones((2, 1)))}, {"method": ["scratch", "fine_tuning"]})
    assert legacy.modern(old).risk.sel(protocol="fine_tuning").item() == 1
    assert legacy.modern_unit({"risk": (("method", "theta"), old.risk.values)})["risk"][0] == ("protocol", "theta")


def test_units_keep_the_names_of_version_0_1():
    """A result of then, its configuration and the name of its first unit."""
    golden = json.loads((Path(__file__).parent / "golden/unit_names.json").read_text())
    for name, expected in golden.items():
        from experiments.running.study import units

        words = [word for word in small.SMALL[name] if not word.startswith("precision=")]  # given since
        assert units(small.study(name), small.composed(name, words))[0].name == expected
