"""Bad input stops before any compute, in one readable message that names the value and the remedy."""

import re
import subprocess
import sys

import pytest
import small

import experiments
from experiments.running.study import UserError

LINEAR = [
    ("task.noise_std=-0.1", "noise_std = -0.1", "noise_std >= 0"),
    ("network.depth=0", "depth = 0", "from 1 to"),
    ("grid.overlap_angles=[0.5,4.0]", "4", r"outside \[0, pi\]"),
    ("grid.overlap_angles=[-0.1]", "-0.1", r"outside \[0, pi\]"),
    ("grid.sample_ratios=[0.001,1.0]", "0.001", "smallest ratio"),
    ("grid.sample_ratios=[0.5,0.5]", "0.5", "distinct"),
    ("grid.sample_ratios=[0.5,0.51]", "0.51|6 6", "same number of samples twice"),
    ("grid.sample_ratios=[]", "grid.sample_ratios", "empty grid"),
    ("grid.overlap_angles=0", "grid.overlap_angles = 0", "empty grid"),
    ("grid.overlap_angles=[a]", "'a'", "not a number"),
    ("grid.overlap_angles=1.5j", "1.5j", "list of numbers"),
    ("ensemble.num_instances=0", "num_instances = 0", "from 1 to"),
    ("ensemble.devices=64", "devices = 64", "sees"),
    ("task.source_ratio=0.01", "source_ratio = 0.01", "null"),
    ("task.dim=0", "dim = 0", "from 1 to"),
    ("task.target_norm=0", "target_norm = 0", "> 0"),
    ("optimizer.learning_rate=0", "learning_rate = 0", "> 0"),
    ("optimizer.num_steps=0", "num_steps = 0", "from 1 to"),
    ("optimizer.momentum=1.0", "momentum = 1", "1"),
    ("linear_transfer.ridges=[-1.0]", "ridge", "ridges >= 0"),
    ("linear_transfer.ridges=[]", "ridge", "at least one|empty"),
    ("linear_transfer.feature_cutoff=1.5", "1.5", "1"),
    ("shard.index=2", "shard.index = 2", "0 to count - 1"),
    ("figures=[nonsense]", "nonsense", "phase_diagram"),
]
ENGINES = [
    (("engine=spectral", "optimizer.name=adam"), "adam", "engine=full"),
    (("engine=flow", "optimizer.name=adam"), "adam", "engine=full"),
    (("engine=spectral", "network.init_scale=0.5"), "0.5", "engine=full"),
    (("engine=flow", "network.init_scale=0.5"), "0.5", "engine=full"),
]
NONLINEAR = [
    ("network.width=0", "width = 0", "from 1 to"),
    ("network.activation=tanh", "tanh", "online|standard|sample"),
    ("grid.amounts=[1.0]", "1", "neurons"),
    ("grid.amounts=[0.99]", "0.99", "neuron"),
    ("linear_transfer.cutoff=1.0", "cutoff = 1", r"\[0, 1\)|below 1|less than 1"),
    ("linear_transfer.cutoff=-0.1", "cutoff = -0.1", r"\[0, 1\)|at least 0"),
    ("task.noise_std=-1", "noise_std = -1", "noise_std >= 0"),
    ("grid.sample_sizes=[]", "sample_sizes", "empty|at least one"),
]


def nothing_is_computed(kind):
    """The study with a `compute` that must not be reached."""

    class Stub(kind):
        def compute(self, config, place, progress):
            raise AssertionError("compute was reached")

    Stub.__module__ = kind.__module__  # its name stays
    return Stub()


def assert_refused(study, directory, overrides, value, remedy):
    own = nothing_is_computed(type(small.study(study)))
    with pytest.raises(UserError) as caught:
        experiments.run(own, [*small.SMALL[study], *overrides], directory=directory)
    message = str(caught.value)
    assert re.search(value, message), message
    assert re.search(remedy, message), message
    assert not (directory / "results.nc").exists()


@pytest.mark.parametrize(("override", "value", "remedy"), LINEAR, ids=[case[0] for case in LINEAR])
def test_linear_studies(override, value, remedy, tmp_path):
    assert_refused("phase_diagram", tmp_path, [override], value, remedy)


@pytest.mark.parametrize(("overrides", "value", "remedy"), ENGINES, ids=lambda c: str(c))
def test_an_engine_that_does_not_hold_names_the_one_that_does(overrides, value, remedy, tmp_path):
    assert_refused("phase_diagram", tmp_path, overrides, value, remedy)


@pytest.mark.parametrize(("override", "value", "remedy"), NONLINEAR, ids=[case[0] for case in NONLINEAR])
def test_nonlinear_studies(override, value, remedy, tmp_path):
    assert_refused("relu_phase_diagram", tmp_path, [override], value, remedy)


TIMES = [
    ("grid.times=[-1.0,2.0]", "-1", "time 0"),
    ("grid.times=[]", "grid.times", "empty grid"),
    ("grid.times=[1e9]", "1e[+]09", "num_steps.*engine=flow"),
]


@pytest.mark.parametrize(("override", "value", "remedy"), TIMES, ids=[case[0] for case in TIMES])
def test_times_of_learning_curves(override, value, remedy, tmp_path):
    assert_refused("learning_curves", tmp_path, [override], value, remedy)


COMMANDS = [
    (["tsk.noise_std=1"], "tsk", "task"),
    (["task.noize_std=1"], "noize_std", "Did you mean task.noise_std"),
    (["task.dim=ten"], "ten", "dim"),
    (["engine=quick"], "quick", "spectral"),
    (["experiment=demoo"], "demoo", "did you mean demo"),
    (["experiment=nonsense"], "nonsense", "--help lists"),
    (["experiment=demo", "experiment=ridge_sweep"], "ridge_sweep", "choose one"),
    (["task=rotation"], "rotation", "it takes finite_source"),
    (["network=deep_5"], "deep_5", "did you mean deep5"),
    (["experiment=relu_laptop"], "relu_laptop", "belongs to experiments.relu_phase_diagram"),
]


@pytest.mark.parametrize(("words", "value", "remedy"), COMMANDS, ids=[" ".join(c[0]) for c in COMMANDS])
def test_a_mistyped_command_is_one_line(words, value, remedy, tmp_path):
    with pytest.raises(UserError) as caught:
        experiments.run("phase_diagram", words, directory=tmp_path / "out")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert value in message
    assert remedy in message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_line_says_the_same_sentence(tmp_path):
    """Exit code 2, one line, no traceback, nothing computed or left behind."""
    command = [sys.executable, "-m", "experiments.phase_diagram", "experiment=demoo", f"hydra.run.dir={tmp_path}/out"]
    found = subprocess.run(command, cwd=small.ROOT, capture_output=True, text=True, timeout=120)
    assert found.returncode == 2
    assert found.stderr.splitlines() == ["error: there is no preset called demoo; did you mean demo?"]
    assert not (tmp_path / "out").exists()
