"""Every point at which a run touches the disk fails once or is a kill; the next run ends as an undisturbed one."""

import contextlib
import io

import numpy as np
import pytest
import toy_study

from benchmarks import faults


def run(directory):
    with contextlib.redirect_stdout(io.StringIO()):
        toy_study.run(directory, units=2, lanes=2, checkpoint__seconds=0)


@pytest.mark.thorough
def test_every_fault_of_the_toy_study():
    head, *wrong = faults.every(run)
    assert not wrong, "\n".join([head, *wrong])
    assert int(head.split()[0]) > 60


def test_the_injection_sees_what_it_should(tmp_path):
    with faults.Faults(tmp_path, 1, faults.ERRORS[0])(), pytest.raises(OSError, match="No space"):
        (tmp_path / "a").mkdir()
    with faults.Faults(tmp_path, 1)(), pytest.raises(faults.Killed):
        (tmp_path / "a").mkdir()
    assert not (tmp_path / "a").exists()
    assert faults.same({"a": np.zeros(1)}, {"a": np.zeros(1)})
    assert not faults.same({"a": np.zeros(1)}, {"a": np.full(1, -0.0)})
