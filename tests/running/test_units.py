"""Units: resumed by what is missing, verified before they are believed, replaced only when all is ready."""

import errno
import itertools
import json
import os
import time

import numpy as np
import pytest
import toy_study
import xarray as xr

from experiments.running import job as _job
from experiments.running import store as _store
from experiments.running.store import Units


def risks(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.risk.values.copy()


def names(directory):
    return sorted(path.stem for path in (directory / "units").glob("*.nc"))


def written(store, values=(0.0, 1.0, 2.0), **science):
    """A unit of the study s in a store; returns its name."""
    axes = {"i": list(range(len(values)))}
    name = _store.unit_name("s", science, axes)
    store.write(name, {"x": (("i",), np.asarray(values))}, {"study": "s", "science": science, "axes": axes})
    return name


def counted(directory):
    """Lanes computed so far, by the toy's own count."""
    path = directory / "count"
    return path.stat().st_size if path.exists() else 0


@pytest.fixture
def run(tmp_path):
    return lambda **changes: toy_study.run(tmp_path, **{"count_file": str(tmp_path / "count"), **changes})


def test_the_same_command_again_computes_nothing(run, tmp_path, capsys):
    run()
    assert counted(tmp_path) == 12
    first = (tmp_path / "results.nc").read_bytes()
    run()
    assert counted(tmp_path) == 12
    assert "already complete" in capsys.readouterr().out
    assert (tmp_path / "results.nc").read_bytes() == first


def test_a_larger_grid_computes_only_what_is_new(run, tmp_path):
    run(units=2)
    (tmp_path / "summary.json").unlink()  # another grid is another result: a person moves the old one away
    run(units=4)
    assert counted(tmp_path) == 12
    assert np.isfinite(risks(tmp_path)).all()


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "damaged": lambda content: content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_unit_is_named_and_computed_again(run, tmp_path, capsys, kind):
    run()
    before = risks(tmp_path)
    victim = names(tmp_path)[1]
    path = tmp_path / "units" / f"{victim}.nc"
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    (tmp_path / "results.nc").unlink()
    run()
    said = capsys.readouterr().out
    assert f"unit {victim} is {kind}" in said
    assert counted(tmp_path) == 15
    np.testing.assert_array_equal(risks(tmp_path), before)


@pytest.mark.parametrize(
    ("content", "word"), [('{"format": 0}', "another version"), ("not json", "damaged receipt"), ("[1]", "damaged")]
)
def test_a_foreign_receipt_is_named_and_its_unit_computed_again(run, tmp_path, capsys, content, word):
    run()
    (tmp_path / "units" / f"{names(tmp_path)[0]}.json").write_text(content)
    (tmp_path / "results.nc").unlink()
    run()
    assert word in capsys.readouterr().out
    assert counted(tmp_path) == 15


def test_a_unit_without_receipt_is_computed_again(run, tmp_path):
    run()
    (tmp_path / "units" / f"{names(tmp_path)[0]}.json").unlink()
    (tmp_path / "results.nc").unlink()
    run()
    assert counted(tmp_path) == 15


def test_reading_a_damaged_unit_is_an_error(tmp_path):
    store = Units(tmp_path)
    a = written(store)
    np.testing.assert_array_equal(store.read(a)["x"][1], np.arange(3.0))
    store.path(a).write_bytes(b"x" * store.path(a).stat().st_size)
    with pytest.raises(_store.StoreError, match=rf"unit {a} .*checksum"):
        store.read(a)
    with pytest.raises(_store.StoreError, match="missing"):
        store.read("b")


def test_a_damaged_results_file_is_written_again_from_the_units(run, tmp_path):
    run()
    path = tmp_path / "results.nc"
    whole = risks(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    run()
    np.testing.assert_array_equal(risks(tmp_path), whole)
    assert counted(tmp_path) == 12


def test_force_computes_beside_and_replaces_at_the_end(run, tmp_path):
    run()
    store, old = tmp_path / "units", {}
    for name in names(tmp_path):
        old[name] = (store / f"{name}.nc").stat().st_ino

    def stop(done, total):
        assert all((store / f"{name}.nc").stat().st_ino == inode for name, inode in old.items())
        if done > 5:
            raise KeyboardInterrupt

    count = itertools.count(1)

    class Stopping(toy_study.Toy):
        def compute(self, config, place, progress):
            return super().compute(config, place, lambda done: stop(next(count), 12))

    with pytest.raises(KeyboardInterrupt):
        run(force=True, study=Stopping())
    begun = counted(tmp_path)
    run(force=True)  # goes on from the units already computed again
    assert counted(tmp_path) < begun + 12
    assert all((store / f"{name}.nc").stat().st_ino != inode for name, inode in old.items())
    assert not (tmp_path / "units.forced").exists()


def test_a_failed_force_leaves_the_old_result(run, tmp_path):
    run()
    before = {path: path.read_bytes() for path in (tmp_path / "units").iterdir()}
    with pytest.raises(_job.UnitsFailed):
        run(force=True, broken=2)
    assert {path: path.read_bytes() for path in (tmp_path / "units").iterdir()} == before


def test_a_replacement_killed_half_way_is_finished_by_the_next_command(run, tmp_path):
    run()
    unit = names(tmp_path)[0]
    beside, receipt = Units(tmp_path / "units.forced"), Units(tmp_path / "units").receipt(unit)
    beside.write(unit, {"risk": (("unit", "lane"), np.full((1, 3), 7.0))}, receipt)
    os.replace(beside.path(unit), tmp_path / "units" / f"{unit}.nc")  # killed before the receipt moved
    (tmp_path / "results.nc").unlink()
    run()
    assert counted(tmp_path) == 12
    assert (risks(tmp_path) == 7.0).any()


def test_a_failed_unit_is_named_and_harms_no_other(run, tmp_path, capsys):
    with pytest.raises(_job.UnitsFailed, match=r"1 unit\(s\) failed.*\n.*unit 2: FloatingPointError"):
        run(broken=2)
    (path,) = (tmp_path / "units").glob("*.failed")
    assert "told to fail" in path.read_text()
    assert "Traceback" in path.read_text()
    assert len(names(tmp_path)) == 3
    missing = np.isnan(risks(tmp_path)).all(axis=1)
    assert missing.tolist() == [False, False, True, False]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(summary["missing"]) == 1
    assert "unit 2" in summary["missing"][0]
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "failed in part"
    assert list(status["failed"]) == [path.stem]
    run()  # the cause is gone: only the failed unit is computed
    assert counted(tmp_path) == 12
    assert not list((tmp_path / "units").glob("*.failed"))
    assert np.isfinite(risks(tmp_path)).all()


def test_a_full_disk_is_one_clear_error_and_earlier_results_stay(run, tmp_path, monkeypatch):
    run(units=2)
    (tmp_path / "summary.json").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "units").iterdir()}

    replace = os.replace

    def full(source, target):
        if str(target).endswith(".nc"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(_store.os, "replace", full)
    with pytest.raises(_store.StoreError, match=r"could not be written .No space left on device"):
        run(units=4)
    assert {path: path.read_bytes() for path in (tmp_path / "units").iterdir()} == before
    monkeypatch.undo()
    run(units=4)
    assert counted(tmp_path) == 15  # the unit that could not be stored, and the one after it


def test_plan_computes_nothing(run, tmp_path, capsys):
    run(plan=True)
    said = capsys.readouterr().out
    assert counted(tmp_path) == 0
    assert not (tmp_path / "units").exists()
    for word in ("4 units, 12 training runs", "4 missing", "risk: unit 1 x lane 3", "memory:", "time: not known"):
        assert word in said
    run()
    run(plan=True)
    assert "4 finished" in capsys.readouterr().out


def test_shards_share_the_units_and_the_last_writes_the_results(run, tmp_path, capsys):
    run(shard__index=1, shard__count=3)
    assert counted(tmp_path) == 3
    assert not (tmp_path / "results.nc").exists()
    assert "shard 1 of 3 is done" in capsys.readouterr().out
    run(shard__index=0, shard__count=3)
    run(shard__index=2, shard__count=3)
    assert counted(tmp_path) == 12
    assert np.isfinite(risks(tmp_path)).all()
    with pytest.raises(_job.UserError, match=r"shard.index = 3 with shard.count = 3"):
        run(shard__index=3, shard__count=3)


def test_a_common_store_serves_other_directories(run, tmp_path):
    toy_study.run(tmp_path / "one", store=str(tmp_path / "common"), count_file=str(tmp_path / "count"))
    toy_study.run(tmp_path / "two", store=str(tmp_path / "common"), count_file=str(tmp_path / "count"))
    assert counted(tmp_path) == 12
    np.testing.assert_array_equal(risks(tmp_path / "one"), risks(tmp_path / "two"))


def test_no_name_depends_on_layout(run):
    from experiments.running import study as _study

    base = toy_study.ToyConfig()
    name = _study.units(toy_study.STUDY, base)[0].name
    for change in ("store", "force", "plan", "figures"):
        config = toy_study.ToyConfig(**{change: "x"})
        assert _study.units(toy_study.STUDY, config)[0].name == name
    config = toy_study.ToyConfig(seed=1)
    assert _study.units(toy_study.STUDY, config)[0].name != name


@pytest.mark.slow
def test_a_thousand_finished_units_are_recognised_at_once(tmp_path):
    store = Units(tmp_path)
    made = [written(store, np.zeros(3000, np.float32), number=i) for i in range(1000)]
    store = Units(tmp_path)  # remembers nothing
    begin = time.process_time()
    assert all(store.receipt(name) is not None for name in made)
    assert time.process_time() - begin < 5.0
