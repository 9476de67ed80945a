"""A real study killed -9 again and again ends with the numbers of an undisturbed one (all: benchmarks.survival)."""

import pytest

from benchmarks import survival

OVERRIDES = survival.sweep(60, steps=4000)


@pytest.mark.thorough
def test_kills_and_a_second_process_change_no_bit(tmp_path):
    survival.finish(survival.start(tmp_path / "whole", OVERRIDES))
    whole = survival.results(tmp_path / "whole")
    count, lost = survival.killed(tmp_path / "killed", OVERRIDES, kills=4)
    assert count >= 1
    assert max(lost) < 60
    assert survival.identical(survival.results(tmp_path / "killed"), whole)
    pair = [survival.start(tmp_path / "pair", OVERRIDES) for _ in range(2)]
    computed = sum(survival.trained(survival.finish(process)) for process in pair)
    assert computed <= 1.1 * 60
    assert survival.identical(survival.results(tmp_path / "pair"), whole)


def test_the_comparison_sees_one_bit(tmp_path):
    import numpy as np
    import xarray as xr

    data = xr.Dataset({"risk": (("i",), np.array([1.0, np.nan], np.float32))})
    other = data.copy(deep=True)
    assert survival.identical(data, other)
    other.risk.values[0] = np.nextafter(other.risk.values[0], np.float32(2))
    assert not survival.identical(data, other)
