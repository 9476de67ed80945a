"""Small results of every study and engine are those kept in golden/: a change of numbers is meant, or a mistake."""

import copy
import json

import golden_results
import pytest
import small
import xarray as xr

GOLDEN = json.loads(golden_results.FILE.read_text())


def test_every_study_and_engine_has_a_golden_result():
    assert set(GOLDEN) == set(golden_results.RUNS)
    studies = {run.split()[0] for run in GOLDEN}
    assert studies == set(small.SMALL) - {"real_data"}  # whose numbers are those of packages
    assert max(len(json.dumps(one)) for one in GOLDEN.values()) < 12_000


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("run", golden_results.RUNS)
def test_results_are_as_they_were(run, results, tmp_path):
    study, words = golden_results.RUNS[run]
    if words:
        data = golden_results.computed(run, tmp_path)
    else:
        with xr.open_dataset(results(study) / "results.nc") as file:
            data = file.load()
    assert not golden_results.apart(golden_results.compact(data), GOLDEN[run])


def test_a_small_difference_is_seen():
    """One value by a thousandth, one status by one, one axis renamed."""
    golden = GOLDEN["phase_diagram flow"]
    for change in (("risk", "values", 0, lambda v: v * 1.005), ("status", "values", 0, lambda v: v + 1)):
        name, part, index, altered = change
        other = copy.deepcopy(golden)
        other[name][part][index] = altered(max(other[name][part], key=abs) if name == "risk" else other[name][part][0])
        assert [line.split(":")[0] for line in golden_results.apart(other, golden)] == [name]
    other = copy.deepcopy(golden)
    other["risk"]["dims"].reverse()
    assert golden_results.apart(other, golden)
    assert not golden_results.apart(golden, golden)
