"""Every study and every preset, small: it runs, leaves what is promised, and what it leaves is whole."""

import json

import pytest
import small
import xarray as xr
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from experiments.linear import config as _schemas
from experiments.running import app as _app
from experiments.running.study import UserError

STUDIES = sorted(set(small.SMALL))


def overrides(preset):
    """A preset at smoke size: sizes are cut, what makes the preset special stays."""
    cut = list(small.SMALL[small.owner(preset)])
    if small.owner(preset) == "comparison":
        values = OmegaConf.load(preset).grid["values"]
        cut.append(f"grid.values={[values[0], values[-1]]}".replace(" ", ""))
    if preset.stem == "ridge_sweep":
        cut = [o for o in cut if not o.startswith("grid.sample_ratios")] + ["grid.sample_ratios=[0.5]"]
    return [f"experiment={preset.stem}", *cut]


def assert_whole(directory, study):
    """results.nc, summary.json and every figure the summary names, with nothing missing."""
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["missing"] == []
    assert summary["study"] == study
    with xr.open_dataset(directory / "results.nc") as data:
        assert json.loads(data.attrs["config"]) == summary["config"]
        for name in ("seed", "tlx", "jax", "numpy", "python", "device", "dtype"):
            assert data.attrs[name]
        assert "instance" in data.dims
        if "status" in data:
            assert not (data.status == -1).any()
    drawn = {name for name in summary["files"] if name != "results.nc"}
    assert {name.rsplit(".", 1)[1] for name in drawn} == {"png", "pdf"}
    for name in drawn:
        assert (directory / name).stat().st_size > 2000
    return summary


@pytest.mark.slow
@pytest.mark.parametrize("preset", small.PRESETS, ids=lambda p: p.stem)
def test_every_preset_runs(preset, tmp_path):
    study = small.owner(preset)
    config = small.composed(study, overrides(preset))
    _app.run(config, tmp_path)
    summary = assert_whole(tmp_path, study)
    chosen = config.figures or list(_app.load(study).figures)
    assert {name.rsplit(".", 1)[0] for name in summary["files"]} == {"results", *chosen}


@pytest.mark.parametrize("preset", small.PRESETS, ids=lambda p: p.stem)
def test_a_preset_is_overrides_only(preset):
    """Each key of a preset exists in its study's schema; there is no code in it, and it says what it is for."""
    text = preset.read_text()
    assert text.startswith("# @package _global_\n# ")
    assert "_target_" not in text
    study = small.owner(preset)
    mine = OmegaConf.load(preset)
    mine.pop("defaults", None)
    _schemas.register()
    OmegaConf.merge(OmegaConf.structured(_schemas.SCHEMAS[study]), mine)  # an unknown key or wrong type raises
    small.composed(study, [f"experiment={preset.stem}"])


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_every_study_runs_on_its_defaults(study, tmp_path):
    assert_whole(small.run(study, tmp_path), study)


def test_every_study_is_tested():
    assert {small.owner(preset) for preset in small.PRESETS} <= set(STUDIES)
    _schemas.register()
    assert {name for name in _schemas.SCHEMAS if not name.startswith("toy")} <= set(STUDIES)


def test_a_phase_diagram_has_the_promised_variables(tmp_path):
    """The public contract of results.nc, in double precision."""
    small.run("phase_diagram", tmp_path, "precision=float64", "engine=flow", "figures=[]")
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.risk.dims == ("method", "theta", "sample_ratio", "instance")
        assert data.status.dims == data.risk.dims
        assert list(data.method.values) == ["scratch", "linear_transfer", "fine_tuning"]
        assert data.num_samples.values.tolist() == [6, 18]
        assert data.theta.values.tolist() == [0.4, 1.2]
        assert data.attrs["dtype"] == "float64"
        assert data.risk.dtype == "float64"


def test_a_preset_of_another_study_is_refused(tmp_path, monkeypatch):
    """Also where all its keys happen to exist, the study it belongs to is named."""
    config = small.composed("phase_diagram", ["experiment=double_descent"])
    job = OmegaConf.create({"job": {"name": "phase_diagram"}})
    monkeypatch.setattr(HydraConfig, "initialized", staticmethod(lambda: True))
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: job))
    with pytest.raises(UserError, match=r"not experiments\.phase_diagram"):
        _app.run(config, tmp_path)
