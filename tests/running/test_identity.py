"""Units and what is saved of them are who they say they are: name, axes, shapes and versions, checked on reading."""

import hashlib
import io
import json
import os
import pickle
import shutil

import numpy as np
import pytest
import toy_study
import xarray as xr

import tlx
from experiments.running import unit_file
from experiments.running.checkpoint import LABEL, Journal
from experiments.running.store import Units


@pytest.fixture
def done(tmp_path):
    """A finished toy study: its directory, the names of its units, its numbers."""
    toy_study.run(tmp_path, count_file=str(tmp_path / "count"))
    names = sorted(path.stem for path in (tmp_path / "units").glob("*.nc"))
    return tmp_path, names, risks(tmp_path)


def risks(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.risk.values.copy()


def again(directory, lanes, before, capsys):
    """The command again: it computes so many lanes, says something, and gives the same numbers."""
    (directory / "results.nc").unlink()
    begun = (directory / "count").stat().st_size
    toy_study.run(directory, count_file=str(directory / "count"))
    assert (directory / "count").stat().st_size - begun == lanes
    np.testing.assert_array_equal(risks(directory), before)
    return capsys.readouterr().out


def forge(units, name, content, **changes):
    """Put a file under a name, with a receipt that agrees with it."""
    path = units / f"{name}.json"
    receipt = json.loads(path.read_text()) | changes
    receipt |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (units / f"{name}.nc").write_bytes(content)
    path.write_text(json.dumps(receipt))


def test_the_unit_and_receipt_of_another_are_not_believed(done, capsys):
    directory, (a, b, *_), before = done
    for kind in ("nc", "json"):
        shutil.copy(directory / "units" / f"{a}.{kind}", directory / "units" / f"{b}.{kind}")
    assert f"unit {b} is not itself but a copy of unit {a}: computed again" in again(directory, 3, before, capsys)


def test_a_receipt_renamed_by_hand_is_not_believed(done, capsys):
    directory, (a, b, *_), before = done
    for kind in ("nc", "json"):
        shutil.copy(directory / "units" / f"{a}.{kind}", directory / "units" / f"{b}.{kind}")
    forge(directory / "units", b, (directory / "units" / f"{a}.nc").read_bytes(), unit=b)
    assert f"unit {b} has a receipt of another configuration" in again(directory, 3, before, capsys)


def test_the_data_of_another_under_a_receipt_that_agrees_are_not_believed(done, capsys):
    directory, (a, b, *_), before = done
    forge(directory / "units", b, (directory / "units" / f"{a}.nc").read_bytes())
    assert f"unit {b} holds unit {a} instead of {b}" in again(directory, 3, before, capsys)


def test_arrays_that_do_not_fill_their_axes_are_not_believed(done, capsys):
    directory, (a, *_), before = done
    receipt = Units(directory / "units").receipt(a)
    identity = {key: receipt[key] for key in ("unit", "study", "format", "tlx", "axes")}
    content = unit_file.encode({"risk": (("unit", "lane"), np.zeros((1, 2), np.float32))}, identity)
    forge(directory / "units", a, content)
    assert f"unit {a} holds risk with shape (1, 2)" in again(directory, 3, before, capsys)
    with pytest.raises(ValueError, match="must return arrays on its axes"):
        Units(directory / "units").write(a, {"risk": (("unit", "lane"), np.zeros((1, 2)))}, receipt)


@pytest.mark.parametrize("content", [b"", b"not NetCDF at all", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_a_file_that_is_no_netcdf_is_computed_again(done, capsys, content):
    directory, (a, *_), before = done
    forge(directory / "units", a, content)
    assert f"unit {a} is not a NetCDF file of a unit" in again(directory, 3, before, capsys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[[1, 2]]",
        '"text"',
        "17",
        '{"format": 2}',
        "[" * 100000,
        "{}",
        "\x00",
        '{"format": 2, "unit": 3}',
    ],
)
def test_a_malformed_receipt_is_named_and_its_unit_computed_again(done, capsys, text):
    directory, (a, *_), before = done
    (directory / "units" / f"{a}.json").write_text(text)
    said = again(directory, 3, before, capsys)
    assert f"unit {a} has a damaged receipt" in said or f"unit {a} is of another version" in said


def older(path, **changes):
    """The receipt as version 0.1 wrote it."""
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in ("tlx", "axes")} | changes


def test_a_unit_of_version_0_1_is_read_and_that_is_said(done, capsys):
    directory, (a, *_), before = done
    path = directory / "units" / f"{a}.json"
    path.write_text(json.dumps(older(path, format=1)))
    assert "1 finished units are of tlx 0.1 (format 1), and are read" in again(directory, 0, before, capsys)
    with xr.open_dataset(directory / "results.nc") as data:
        assert data.attrs["versions"] == "tlx 0.1 (format 1); tlx " + tlx.__version__ + " (format 2)"


def test_a_unit_of_an_unknown_version_is_refused_by_its_name(done, capsys):
    directory, (a, *_), before = done
    path = directory / "units" / f"{a}.json"
    path.write_text(json.dumps(older(path, format=3, tlx="9.9")))
    assert f"unit {a} is of another version: tlx 9.9 (format 3)" in again(directory, 3, before, capsys)


def test_units_of_other_versions_are_counted(done):
    directory, (a, *_), _ = done
    path = directory / "units" / f"{a}.json"
    assert Units(path.parent).other_versions(()) == {}
    path.with_stem("toy-0123456789").write_text(json.dumps(older(path, format=1)))
    assert Units(path.parent).other_versions(()) == {"tlx 0.1 (format 1)": 1}
    assert Units(path.parent).other_versions(["toy-0123456789"]) == {}


def test_a_pipe_in_place_of_a_unit_does_not_hang(done):
    directory, (a, b, *_), _ = done
    for path in (directory / "units" / f"{a}.nc", directory / "units" / f"{b}.json"):
        path.unlink()
        os.mkfifo(path)
    store = Units(directory / "units")
    assert "not a plain file" in store.state(a).fault
    assert "not a plain file" in store.state(b).fault


def saved(path, *leaves):
    journal = Journal(path, 0.0)
    journal.before = {}
    journal.keep(0, [list(leaves)])
    return path


@pytest.mark.parametrize(
    "leaves",
    [
        [np.zeros(2, np.float32)],
        [np.zeros(2, np.float64), np.zeros(2, np.int32)],
        [np.zeros((2, 5), np.float32), np.zeros(2, np.int32)],
        [np.zeros(2, np.float32), np.zeros(1, np.int32)],
    ],
)
def test_a_partial_of_another_structure_is_set_aside(done, capsys, leaves):
    directory, (a, *_), before = done
    (directory / "units" / f"{a}.json").unlink()
    path = saved(directory / "units" / f"{a}.partial", *leaves)
    again(directory, 3, before, capsys)
    assert not path.exists()


def test_a_partial_of_another_unit_is_set_aside(done, capsys):
    directory, (a, b, *_), before = done
    partial = saved(directory / "units" / f"{a}.partial", np.full(2, 7, np.float32), np.full(2, 7, np.int32))
    partial.rename(directory / "units" / f"{b}.partial")
    (directory / "units" / f"{b}.json").unlink()
    assert f"what was saved of unit {b} is of another unit or version" in again(directory, 3, before, capsys)


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_no_pickle_is_ever_loaded(done, capsys):
    directory, (a, b, *_), before = done
    harm = Harmful(str(directory / "harm"))
    array = np.empty(1, object)
    array[0] = harm
    buffer = io.BytesIO()
    np.savez(buffer, **{"0.0": array, LABEL: array})
    for name, content in ((a, buffer.getvalue()), (b, pickle.dumps(harm))):
        (directory / "units" / f"{name}.json").unlink()
        (directory / "units" / f"{name}.nc").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest().encode()
        (directory / "units" / f"{name}.partial").write_bytes(digest + content)
    assert "set aside" in again(directory, 6, before, capsys)
    assert not (directory / "harm").exists()
