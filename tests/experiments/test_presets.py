"""Every study and every preset, small: it runs, leaves what is promised, and what it leaves is whole."""

import itertools
import json

import pytest
import small
import xarray as xr
from omegaconf import OmegaConf

import experiments
from experiments.running import compose, help, job
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


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_offered_is_not_refused(study, tmp_path):
    """A study as it is, and each of its presets at full size, pass every check that comes before any compute."""
    for words in ([], *([f"experiment={path.stem}"] for path in small.PRESETS if small.owner(path) == study)):
        assert job.check(small.study(study), small.composed(study, words), tmp_path).every


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
    drawn = {name for name in summary["files"] if name not in ("results.nc", "explorer.json")}
    assert {name.rsplit(".", 1)[1] for name in drawn} == {"png", "pdf"}
    for name in drawn:
        assert (directory / name).stat().st_size > 2000
    return summary


@pytest.mark.thorough
@pytest.mark.parametrize("preset", small.PRESETS, ids=lambda p: p.stem)
def test_every_preset_runs(preset, tmp_path):
    study = small.owner(preset)
    chosen = small.composed(study, overrides(preset)).figures or list(small.study(study).figures)
    experiments.run(study, overrides(preset), directory=tmp_path)
    summary = assert_whole(tmp_path, study)
    assert {name.rsplit(".", 1)[0] for name in summary["files"]} - {"explorer"} == {"results", *chosen}


@pytest.mark.parametrize("preset", small.PRESETS, ids=lambda p: p.stem)
def test_a_preset_is_overrides_only(preset):
    """Each key of a preset exists in its study's schema; there is no code in it, and it says what it is for."""
    text = preset.read_text()
    assert text.startswith("# @package _global_\n# ")
    assert "_target_" not in text
    study = small.owner(preset)
    mine = OmegaConf.load(preset)
    mine.pop("defaults", None)
    OmegaConf.merge(OmegaConf.structured(small.study(study).Config), mine)  # an unknown key or wrong type raises
    small.composed(study, [f"experiment={preset.stem}"])


@pytest.mark.thorough
@pytest.mark.parametrize("study", STUDIES)
def test_every_study_runs_on_its_defaults(study, results):
    assert_whole(results(study), study)


def test_every_study_is_tested():
    assert {small.owner(preset) for preset in small.PRESETS} <= set(STUDIES)
    assert set(experiments.studies()) == set(STUDIES)
    assert {study: experiments.presets(study) for study in STUDIES} == {
        study: [preset.stem for preset in small.PRESETS if small.owner(preset) == study] for study in STUDIES
    }


@pytest.mark.slow
def test_a_phase_diagram_has_the_promised_variables(tmp_path):
    """The public contract of results.nc, in double precision."""
    small.run("phase_diagram", tmp_path, "precision=float64", "engine=flow", "figures=[]")
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.risk.dims == ("protocol", "theta", "sample_ratio", "instance")
        assert data.status.dims == data.risk.dims
        assert list(data.protocol.values) == ["scratch", "linear_transfer", "fine_tuning"]
        assert data.num_samples.values.tolist() == [6, 18]
        assert data.theta.values.tolist() == [0.4, 1.2]
        assert data.attrs["dtype"] == "float64"
        assert data.risk.dtype == "float64"


def test_a_preset_of_another_study_is_refused(tmp_path):
    """Also where all its keys happen to exist, the study it belongs to is named."""
    config = small.composed("scratch_risk", ["experiment=double_descent"])
    with pytest.raises(UserError, match=r"not experiments\.phase_diagram"):
        job.run(small.study("phase_diagram"), config, tmp_path)


GROUPS = {g: [p.stem for p in sorted((small.ROOT / "conf" / g).glob("*.yaml"))] for g in help.GROUPS}


def test_every_option_says_what_it_is_for_and_some_study_takes_it():
    for group, options in GROUPS.items():
        for option in options:
            assert len(help.purpose(group, option)) > 10
            assert [name for name in STUDIES if help.takes(small.study(name).Config, group, option)]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_option_composes_with_each_study_that_takes_it(name):
    """One of each group at a time, until each had its turn: it sets what it says, above the defaults and a preset."""
    own = small.study(name)
    taken = {g: [o for o in options if help.takes(own.Config, g, o)] for g, options in GROUPS.items()}
    preset = [f"experiment={chosen}" for chosen in experiments.presets(name)[:1]]
    for options in zip(*(itertools.islice(itertools.cycle(o or [None]), max(map(len, taken.values())))
                         for o in taken.values()), strict=True):  # fmt: skip
        chosen = {g: o for g, o in zip(taken, options, strict=True) if o is not None}
        config = compose.composed(own, [*(f"{g}={o}" for g, o in chosen.items()), *preset])
        for group, option in chosen.items():
            if group != "device":  # it sets keys of several groups
                content = OmegaConf.load(small.ROOT / "conf" / group / f"{option}.yaml")
                found = OmegaConf.to_container(config[group])
                assert {key: plain(found[key]) for key in content} == OmegaConf.to_container(content)
        compose.typed(own, config)


def plain(value):
    return getattr(value, "value", value)
