"""A few hundred random inputs: each is refused in one line, or makes sense (`make fuzz` draws thousands)."""

import pytest

from benchmarks import fuzz, fuzz_functions


@pytest.mark.thorough
def test_random_configurations_are_refused_or_make_sense():
    told = fuzz.configurations(108)
    assert told["drawn"] >= 100
    assert 0 < told["refused"] < told["drawn"]


@pytest.mark.thorough
def test_random_arguments_are_refused_or_make_sense():
    told = fuzz_functions.calls(200)
    assert 0 < told["refused"] < told["drawn"]


@pytest.mark.thorough
def test_random_configurations_of_a_study_end_with_results_that_hold():
    assert fuzz.configurations(40, 3, ["scratch_risk"])["carried out"] == 3
