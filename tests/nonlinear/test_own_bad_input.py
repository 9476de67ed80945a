"""What is wrong with a network or task of one's own is said in one sentence before anything is computed."""

import re
import sys

import numpy as np
import pytest
from own_code import Sound

import experiments
from experiments.relu_phase_diagram import ReluPhaseDiagram
from experiments.running import custom
from experiments.running.study import UserError
from tlx.nonlinear import MultiLayer, NonlinearSetting

NETWORKS = [
    ("own_code", r"write package\.module:function"),
    ("no_such_module:network", r"no_such_module cannot be imported \(ModuleNotFoundError"),
    ("own_code:nothing", r"own_code has no function nothing; it has .*sound"),
    ("own_code:needs_more", r"asks for colour, and can have dim, width"),
    ("own_code:without_refit", r"own_code.*NoRefit lacks refit: a model has dim, start, apply, features, refit"),
    ("own_code:TwoOutputs", r"own_code\.TwoOutputs: apply returned shape \(3, 2\) for 3 rows, expected \(3,\)"),
    ("own_code:NotANumber", r"own_code\.NotANumber: apply returned nan.*expected finite"),
    ("own_code:Confused", r"own_code\.Confused: after refit.*features @ coefficients"),
    ("own_code:Mixing", r"own_code\.Mixing: apply gave .* row alone"),
    ("own_code:Failing", r"own_code\.Failing: features raised RuntimeError .*: no features today"),
    ("own_code:Unhashable", r"own_code\.Unhashable is not hashable.*frozen dataclass"),
    ("own_code:no_head", r"own_code\.NoHead: the output is not linear in its dense layer"),
    ("own_code:normalised", r"own_code\.Normalised keeps batch_stats beside its weights"),
    ("experiments.examples.convolution:network", r"task\.dim = 6.*takes 64 numbers; set task\.dim=64"),
]
TASKS = [
    ("own_code:sound", r"own_code\.Sound lacks inputs, pair, function: a task has"),
    (
        "own_code:wrong_target",
        r"own_code.*: function of the target returned shape \(3, 8, 8, 1\) for 3 rows",
    ),
    ("own_code:infinite_source", r"convolution.*: function of the source at amount 0 returned -?(inf|nan)"),
    ("own_code:whole_numbers", r"inputs returned int\d+, expected floating-point"),
]


class Stopped(ReluPhaseDiagram):
    """The study with a `compute` that must not be reached."""

    __module__ = ReluPhaseDiagram.__module__

    def compute(self, config, place, progress):
        raise AssertionError("compute was reached")


def refused(tmp_path, *words):
    small = ["task.dim=6", "pretraining.loss=online", "grid.amounts=[0.0,0.5]", "network.width=3"]
    with pytest.raises(UserError) as caught:
        experiments.run(Stopped(), [*small, *words], directory=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "message"), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_networks(tmp_path, name, message):
    said = refused(tmp_path, f"network.custom={name}")
    assert re.search(message, said), said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(("name", "message"), TASKS, ids=[name for name, _ in TASKS])
def test_tasks(tmp_path, name, message):
    said = refused(tmp_path, f"task.custom={name}", "network.custom=experiments.examples.convolution:network")
    assert re.search(message, said), said
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_an_object_with_the_methods_is_a_model_and_a_class_is_not():
    NonlinearSetting(Sound(), pretraining="online")
    with pytest.raises(ValueError, match="Sound is a class"):
        NonlinearSetting(Sound, pretraining="online")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"noise_std": "loud"}, TypeError, "noise_std = 'loud' is not a real number"),
        ({"ridge": np.inf}, ValueError, "ridge = inf is not finite"),
        ({"cutoff": np.nan}, ValueError, "cutoff = nan is not finite"),
        ({"scratch": 0.1}, TypeError, "scratch = 0.1 is a float; pass a Optimizer"),
        ({"task": "images"}, ValueError, "str lacks inputs"),
    ],
)
def test_fields_of_a_setting(change, error, message):
    with pytest.raises(error, match=message):
        NonlinearSetting(MultiLayer(6, (4,)), pretraining="online", **change)


def test_results_of_changed_code_are_other_results(tmp_path, monkeypatch):
    """The digest of the file is part of a unit's name, so that an edited network is computed again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "edited_network.py").write_text("def network(): return 1\n")
    before = custom.version("edited_network:network")
    (tmp_path / "edited_network.py").write_text("def network(): return 2\n")
    sys.path_importer_cache.clear()
    after = custom.version("edited_network:network")
    assert before[0] == after[0] == "edited_network:network"
    assert before[1] != after[1]
