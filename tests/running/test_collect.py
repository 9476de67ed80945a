"""Collecting: any number of jobs become one labelled data set, and what is missing stays missing and is named."""

import functools

import numpy as np
import pytest
import toy_study
import xarray as xr
from omegaconf import OmegaConf

from experiments.collect import collect
from experiments.collect import main as collect_main
from experiments.running import config as _schemas
from experiments.running.merging import positions, union

collect = functools.partial(collect, own=(toy_study.STUDY,))


def job(directory, computed=True, **changes):
    """A job's directory as Hydra leaves it, and its results."""
    config = toy_study.configured(**changes)
    (directory / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.structured(config), directory / ".hydra/config.yaml")
    if computed:
        toy_study.run(directory, **changes)
    return directory


def risks(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.risk.values.copy()


def test_shards_in_their_own_directories_become_the_whole(tmp_path):
    whole = job(tmp_path / "whole")
    for i in range(3):
        job(tmp_path / "shards" / str(i), shard__index=i, shard__count=3)
    data = collect([tmp_path / "shards"], tmp_path / "out")
    np.testing.assert_array_equal(data.risk.values, risks(whole))
    assert (tmp_path / "out/values.png").stat().st_size > 1000  # the study's figure
    assert not data.attrs["missing"]


def test_missing_cells_are_reported_and_never_filled(tmp_path, monkeypatch, capsys):
    for i in (0, 2):
        job(tmp_path / str(i), shard__index=i, shard__count=3)
    monkeypatch.setattr("sys.argv", ["collect", str(tmp_path), "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        collect_main(own=(toy_study.STUDY,))
    assert end.value.code == 1
    found = risks(tmp_path / "out")
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, False]
    said = capsys.readouterr().out
    assert "1 units are missing" in said
    assert "unit 1" in said
    with xr.open_dataset(tmp_path / "out/results.nc") as data:
        assert (data.index.values[1] == -1).all()
        assert data.attrs["missing"].endswith("unit 1")


def test_a_damaged_unit_counts_as_missing(tmp_path):
    job(tmp_path / "a")
    victim = sorted((tmp_path / "a/units").glob("*.nc"))[0]
    victim.write_bytes(victim.read_bytes()[:-9])
    assert victim.stem in collect([tmp_path / "a"], tmp_path / "out").attrs["missing"]


def test_jobs_that_differ_in_science_get_a_dimension_for_it(tmp_path):
    for seed in (3, 1):
        job(tmp_path / "in" / str(seed), seed=seed)
    job(tmp_path / "in/x", seed=1, precision=_schemas.Precision.float64, computed=False)
    data = collect([tmp_path / "in"], tmp_path / "out", [])
    assert data.risk.dims == ("seed", "precision", "unit", "lane")
    assert data.seed.values.tolist() == [1, 3]
    for seed in (1, 3):
        expected = risks(tmp_path / "in" / str(seed))
        np.testing.assert_array_equal(data.risk.sel(seed=seed, precision="float32"), expected)
    assert "seed=1,precision=float64: nothing finished" in data.attrs["missing"]
    assert "1 combinations" in data.attrs["missing"]
    with xr.open_dataset(tmp_path / "out/results.nc") as stored:
        assert stored.risk.dims == data.risk.dims


def test_jobs_with_other_grids_are_merged_on_the_union(tmp_path):
    job(tmp_path / "in/small", units=2)
    job(tmp_path / "in/large", units=5)
    data = collect([tmp_path / "in"], tmp_path / "out", [])
    np.testing.assert_array_equal(data.risk.values, risks(tmp_path / "in/large"))


def test_a_common_store_is_found(tmp_path):
    job(tmp_path / "in/a", store=str(tmp_path / "common"), shard__index=0, shard__count=2)
    job(tmp_path / "in/b", store=str(tmp_path / "common"), shard__index=1, shard__count=2)
    assert np.isfinite(collect([tmp_path / "in"], tmp_path / "out", []).risk.values).all()


def test_nothing_to_collect_is_said(tmp_path):
    with pytest.raises(Exception, match="no job of a study"):
        collect([tmp_path], tmp_path / "out")
    with pytest.raises(Exception, match="not a directory"):
        collect([tmp_path / "nowhere"], tmp_path / "out")
    job(tmp_path / "in", computed=False)
    with pytest.raises(Exception, match="no finished unit"):
        collect([tmp_path / "in"], tmp_path / "out")


def test_axes_are_united_by_value_not_by_place():
    axes = union([{"x": np.array([0.2, 0.6]), "m": np.array(["b", "a"])}, {"x": np.array([0.4]), "m": np.array(["a"])}])
    assert axes["x"].tolist() == [0.2, 0.4, 0.6]
    assert axes["m"].tolist() == ["b", "a"]
    assert positions(axes["m"], np.array(["a"])).tolist() == [1]


@pytest.fixture
def two(tmp_path):
    """A sound job and a directory for another one beside it."""
    job(tmp_path / "in/good")
    other = tmp_path / "in/other"
    (other / ".hydra").mkdir(parents=True)
    return tmp_path, other


def collected(directory, monkeypatch, capsys, code=1):
    """The command line on a directory: what it complains of."""
    words = ["collect", str(directory / "in"), f"hydra.run.dir={directory / 'out'}", "--figures"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        collect_main(own=(toy_study.STUDY,))
    assert end.value.code == code
    np.testing.assert_array_equal(risks(directory / "out"), risks(directory / "in/good"))
    return capsys.readouterr().err


def test_all_taken_in_is_exit_code_0(tmp_path, monkeypatch, capsys):
    job(tmp_path / "in/good")
    assert collected(tmp_path, monkeypatch, capsys, code=0) == ""


BAD = {
    "study: [": "no YAML",
    "study: unheard_of": "of no study here (study: 'unheard_of')",
    "[1, 2]": "of no study here",
    "": "of no study here",
    "study: toy\nseed: many": "does not fit this version",
    "study: toy\nnew_key: 1": "does not fit this version",
    "study: toy\ncount_file: ${oc.env:SECRET}": "asks for a value from elsewhere, which is never done",
    "study: toy\nstore: ${oc.env:SECRET}": "asks for a value from elsewhere",
    "study: !!python/object/apply:os.system [false]": "no YAML",
    "study: toy\nunits: 0": "its grid is empty",
}


@pytest.mark.parametrize("text", BAD)
def test_a_job_that_cannot_be_taken_in_is_named_and_the_others_are(two, monkeypatch, capsys, text):
    directory, other = two
    monkeypatch.setenv("SECRET", "hunter2")
    (other / ".hydra/config.yaml").write_text(text)
    said = collected(directory, monkeypatch, capsys)
    assert f"left out: {other}: " in said
    assert BAD[text] in said
    assert b"hunter2" not in b"".join(path.read_bytes() for path in (directory / "out").iterdir())


def test_a_job_without_configuration_is_named(two, monkeypatch, capsys):
    directory, other = two
    assert f"left out: {other}: " in collected(directory, monkeypatch, capsys)


def test_a_job_of_version_0_1_is_named_with_that_version(two, monkeypatch, capsys):
    directory, other = two
    config = toy_study.configured(seed=5)
    OmegaConf.save(OmegaConf.structured(config), other / ".hydra/config.yaml")
    (other / "units").mkdir()
    (other / "units/toy-01234567890123456789.json").write_text('{"format": 1, "study": "toy"}')
    monkeypatch.setattr("sys.argv", ["collect", str(directory / "in"), "--output", str(directory / "out"), "--figures"])
    with pytest.raises(SystemExit):
        collect_main(own=(toy_study.STUDY,))
    said = capsys.readouterr().err
    assert "no unit is finished of seed=5 (units of another version: 1 of tlx 0.1 (format 1" in said


def test_a_figure_that_fails_for_one_configuration_leaves_the_others(tmp_path, monkeypatch):
    for seed in (3, 1):
        job(tmp_path / "in" / str(seed), seed=seed)

    def draw(data):
        if '"seed": 3' in data.attrs.get("config", "") or not (tmp_path / "out/seed=3/values.png").exists():
            raise ZeroDivisionError("cannot be drawn")
        return toy_study.draw(data)

    monkeypatch.setitem(toy_study.Toy.figures, "values", draw)
    data = collect([tmp_path / "in"], tmp_path / "out")
    assert data.seed.values.tolist() == [1, 3]
    assert "cannot be drawn" in data.attrs["omitted"]
