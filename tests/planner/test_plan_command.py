"""python -m experiments.plan: files in, one page and one line out, and refusals that name the place."""

import subprocess
import sys

import numpy as np
import pytest

from experiments import plan
from experiments.running.study import UserError


def saved(path, **changes):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 12))
    arrays = {"X": inputs, "y": inputs[:, 0] + 0.3 * rng.normal(size=40), "source": np.eye(12)[0], **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_the_command_ends_with_its_advice(tmp_path):
    file = saved(tmp_path / "pilot.npz")
    command = [sys.executable, "-m", "experiments.plan", f"data={file}", f"output={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = done.stdout.strip().splitlines()[-1]
    assert last in [f"recommendation: {m}" for m in ("scratch", "linear_transfer", "fine_tuning", "undecided")]
    assert (tmp_path / "out" / "plan.png").stat().st_size > 10_000
    assert (tmp_path / "out" / "plan.pdf").exists()


def test_csv_and_npz_say_the_same(tmp_path):
    file = saved(tmp_path / "pilot.npz")
    with np.load(file) as arrays:
        table, source = np.column_stack([arrays["X"], arrays["y"]]), arrays["source"]
    header = ",".join([*(f"x{i}" for i in range(12)), "y"])
    np.savetxt(tmp_path / "pilot.csv", table, delimiter=",", header=header, comments="", fmt="%.17g")
    np.savetxt(tmp_path / "source.txt", source)
    one = plan.advise(plan.load(file), {})
    two = plan.advise(plan.load(tmp_path / "pilot.csv", "y", tmp_path / "source.txt"), {})
    assert one.support == two.support


def test_pickled_content_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    file = saved(tmp_path / "pilot.npz", y=np.array([Trap()] * 40, dtype=object))
    with pytest.raises(UserError, match="'y' holds pickled objects"):
        plan.load(file)
    assert not (tmp_path / "touched").exists()


def test_files_that_are_not_what_they_say(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    (tmp_path / "bad.csv").write_text("a,b,y\n1,2,3\n1,x,3\n")
    (tmp_path / "short.csv").write_text("a,b,y\n1,2\n")
    for name, message in {
        "text.npz": "not an .npz archive",
        "array.npz": "single array",
        "bad.csv": "row 1, column 'b'",
        "short.csv": "row 0 has 2 entries",
        "missing.npz": "not a file",
        "pilot.txt": "is not a file",
    }.items():
        with pytest.raises(UserError, match=message):
            plan.load(tmp_path / name)
    with pytest.raises(UserError, match="array 'y' is missing"):
        plan.load(saved(tmp_path / "half.npz", y=None))


def test_arrays_that_do_not_fit(tmp_path):
    arrays = plan.load(saved(tmp_path / "pilot.npz", source=np.ones(5)))
    with pytest.raises(UserError, match="X have 12 columns"):
        plan.advise(arrays, {})


@pytest.mark.parametrize("words", [["data"], ["file=x.npz"], ["depth=2"], ["data=a.npz", "data=b.npz"]])
def test_arguments_that_are_not_understood(words):
    with pytest.raises(UserError):
        plan.arguments(words)
