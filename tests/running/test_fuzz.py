"""A few hundred random inputs: each is refused in one line, or makes sense (`make fuzz` draws thousands)."""

import pytest

import experiments
from benchmarks import fuzz, fuzz_functions
from benchmarks.tiny import TINY


@pytest.mark.slow
def test_every_study_has_a_tiny_configuration_that_is_accepted(tmp_path):
    """Else every draw upon it is refused, and nothing is tried."""
    assert set(TINY) == set(experiments.studies())
    for name in TINY:
        assert fuzz.check(name, [], tmp_path / "out") is not None, name


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
