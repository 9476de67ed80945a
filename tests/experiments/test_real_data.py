"""The worked example on the digits: what training is given is what the planner was given, and the command works."""

import numpy as np
import pytest

from experiments import real_data
from experiments.running.study import UserError

pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def tasks():
    return real_data.digits(0)


def test_tasks_are_whitened_and_no_row_is_used_twice(tasks):
    for task in tasks:
        rows = np.concatenate([task.pool, task.test])
        assert rows.shape == (1197, 24)
        assert len(np.unique(rows, axis=0)) > 1190  # two images may have the same left half
        assert np.max(np.abs(rows.T @ rows / len(rows) - np.eye(24))) < 0.6  # the whole of 1,797 rows is white
        residual = task.test_labels - task.test @ task.best
        assert residual.var() < task.test_labels.var()


def test_training_is_what_its_name_says(tasks, x64):
    """Scratch is the minimum-norm fit, the probe a multiple of the source, and fine-tuning fits the rows too."""
    task = tasks[0]
    inputs, labels = task.pool[:12], task.pool_labels[:12]
    scratch, probe, tuned = np.asarray(real_data._trained(inputs, labels, task.source, 2))
    np.testing.assert_allclose(scratch, np.linalg.pinv(inputs) @ labels, atol=1e-8)
    feature = inputs @ task.source
    np.testing.assert_allclose(probe, feature @ labels / (feature @ feature) * task.source, atol=1e-10)
    np.testing.assert_allclose(inputs @ tuned, labels, atol=1e-8)
    assert np.max(np.abs(tuned - scratch)) > 1e-3


def test_the_gaussian_copy_keeps_covariance_and_signal(tasks):
    copy = real_data.gaussian(tasks[0], 0)
    assert copy.pool.shape == tasks[0].pool.shape
    residual = copy.pool_labels - copy.pool @ copy.best
    expected = np.std(tasks[0].pool_labels - tasks[0].pool @ tasks[0].best)
    assert abs(residual.std() / expected - 1) < 4 / np.sqrt(2 * len(residual))


def test_advice_is_counted_as_it_was_given():
    """Two of three spoke; one named the best method, one a method 20 % worse than the best."""
    excess = [np.array([1.2, 1.0, 3.0])] * 3
    names = ["linear_transfer", "scratch", "undecided"]
    found = real_data.cell([real_data.Trial(e, n) for e, n in zip(excess, names)])
    assert (found.spoke, found.right) == (2, 1)
    assert found.always.tolist() == [False, True, False]
    assert "1 of 2 (50 %)" in real_data.summary("x", {(0, 0): found}, 3)


@pytest.mark.slow
def test_the_command_prints_the_table_and_draws_the_page(tmp_path, capsys):
    real_data.main(["draws=2", "sizes=12,160", f"output={tmp_path}"])
    said = capsys.readouterr().out
    assert said.count("\n(2,4)") == 4  # two sizes, digits and Gaussian copy
    assert "digits: the planner spoke for" in said
    assert "Gaussian copy: the planner spoke for" in said
    assert (tmp_path / "real_data.png").stat().st_size > 10_000
    assert (tmp_path / "real_data.pdf").exists()


@pytest.mark.parametrize("word", ["draws=1", "sizes=2", "sizes=a", "size=12", "seed=-1", "sizes=601"])
def test_bad_input(word):
    with pytest.raises(UserError):
        real_data.options([word])
