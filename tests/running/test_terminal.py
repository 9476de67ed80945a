"""What the terminal says: 80 columns, names whole, distances that know how few instances there are, and silence."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from experiments import paper
from experiments.running import app, compose, console, report
from experiments.running.study import Verdict
from tlx.glossary import Protocol
from tlx.train import Status


def verdict(z, instances, name="fine_tuning"):
    return Verdict(name, np.asarray(z, float), lambda at: f"theta = {at[0] / 3:.3g}, n/d = 1.05", instances)


def test_four_instances_do_not_print_minus_73():
    """The normal deviate of the same probability, by SciPy's own distributions."""
    found = console.small_sample(np.array([-73.0, 1.0, np.nan]), 4)
    np.testing.assert_allclose(found[:2], stats.norm.ppf(stats.t.cdf([-73.0, 1.0], 3)), rtol=1e-9)
    assert -5 < found[0] < -4
    assert np.isnan(found[2])


def test_many_instances_change_nothing():
    z = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(console.small_sample(z, 100_000), z, rtol=1e-3)
    assert np.all(np.isfinite(console.small_sample(np.array([1e3, -1e6]), 500)))


def test_a_table_names_its_worst_cells_and_few_instances():
    facts = console.facts(verdict([[0.1, -6.0, 2.0], [0.3, np.nan, -0.2]], 4))
    assert facts["cells"] == 5
    assert facts["worst_cells"][0]["z"] == facts["worst_z"] > -6
    assert facts["worst_in_standard_errors"] == -6.0
    assert "few instances" in facts["remark"]
    assert "remark" not in console.facts(verdict([[0.1]], 20))


def test_every_status_has_its_name():
    codes = np.array([-1, *Status])
    assert set(console.count(codes)) == {"missing", *(status.label for status in Status)}


def test_the_closing_table_fits_80_columns(capsys):
    """Protocol names whole, nothing cut, at most six findings."""
    verdicts = [verdict([[1.0, -3.5]], 4, name) for name in (*Protocol, "linear transfer, largest n")]
    statuses = {str(name): np.array([-1, *Status]) for name in Protocol}
    outcome = SimpleNamespace(lanes=10, seconds=2.0)
    console.closing(verdicts, statuses, outcome, "\n".join(f"finding {i}" for i in range(9)))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in Protocol:
        assert sum(line.startswith(f"{name} ") for line in lines) == 2
    assert sum(line.startswith("finding") for line in lines) == 6
    assert "... and 3 more findings in report.html" in lines


def test_a_rate_is_not_shown_before_it_is_known(capsys, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_SECONDS", 0.0)
    with console.Progress("study") as bar:
        bar.update(0, 10)
        assert capsys.readouterr().out == ""
        bar.update(5, 10)
    assert "5/10 runs" in capsys.readouterr().out


def test_what_is_waited_for_is_said_once_and_in_one_line(capsys):
    """Without a terminal, too: the first unit is named before its programs are compiled."""
    with console.Progress("study") as bar:
        bar.wait("linear_task norms: theta = 0, n = 20 to noise: theta = 0.785, n = 40, instance 0 to 31")
        bar.wait("the next unit")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1
    assert said[0].startswith("compiling for linear_task norms")
    assert len(said[0]) <= 80


def test_plain_lines_come_more_seldom_in_a_long_run(capsys, monkeypatch):
    now = iter([0.0, *(float(t) for t in range(1, 1001))])
    monkeypatch.setattr(console.time, "perf_counter", lambda: next(now))
    with console.Progress("study") as bar:
        for done in range(1, 1000):
            bar.update(done, 1000)
    assert 20 < len(capsys.readouterr().out.splitlines()) < 60  # one every 5 s would be 200


def test_words_stay_whole_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    path = "/a/very/long/path/" + 10 * "with-many-parts/"
    console.say(f"the results of this study are all in the folder {path} and nowhere else but in this folder")
    lines = capsys.readouterr().out.splitlines()
    assert path in [line.strip() for line in lines]
    assert all(len(line) <= 80 or path in line for line in lines)


def test_a_folder_is_named_by_its_preset_first():
    """Whatever the order of a command's keys, and lists stay in one piece."""
    names = {
        compose.slug("task.dim=30,experiment=demo,engine=flow"),
        compose.slug("engine=flow,task.dim=30,experiment=demo"),
    }
    assert names == {"demo,engine=flow,task.dim=30"}
    assert compose.slug("grid.values=[0.1,0.2],experiment=depths") == "depths,grid.values=-0.1,0.2-"
    assert compose.slug("data='my pilot.npz',num_samples=5") == "data=my-pilot.npz,num_samples=5"
    assert compose.slug("") == "default"


def test_runs_that_differ_have_names_that_differ():
    runs = [{"study": "phase_diagram", "changed": {"task.dim": [dim, 100]}} for dim in (20, 30)]
    runs += [{"study": "phase_diagram", "changed": {}}, {"study": "scratch_risk", "changed": {}}]
    assert len({report.name(run) for run in runs}) == 4
    assert report.name(runs[0]) == "phase diagram: dim = 20"


@pytest.mark.parametrize(
    ("words", "said"), [(["--presets"], "experiment=demo"), (["--help", "noise_std"], "task.noise_std = 0.2")]
)
def test_short_answers(words, said, capsys, monkeypatch):
    from experiments.phase_diagram import PhaseDiagram

    monkeypatch.setattr("sys.argv", ["experiments.phase_diagram", *words])
    app.main(PhaseDiagram)
    out = capsys.readouterr().out
    assert said in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_for_a_key_that_is_none(capsys, monkeypatch):
    from experiments.phase_diagram import PhaseDiagram

    monkeypatch.setattr("sys.argv", ["experiments.phase_diagram", "--help", "colour"])
    with pytest.raises(SystemExit):
        app.main(PhaseDiagram)
    assert "no key colour" in capsys.readouterr().err


def test_the_page_of_the_paper_has_contents_and_headings_in_words():
    assert all(paper.preset_path(preset) for preset in paper.HEADINGS)
    summary = {
        "protocols": {"<b>": {"cells": 0}},
        "files": ["phase_diagram.png"],
        "captions": {"phase_diagram": "caption <script>"},
        "training_runs": 3,
        "notes": "remark & more",
    }
    every = {"study": "phase_diagram", "seconds": 1.0, "summary": summary, "widths": {"phase_diagram.png": 1000}}
    entries = [{"preset": p, **every} for p in ("depths", "demo")]
    page = paper.render(json.loads(json.dumps(entries)), "2 commands")
    assert '<a href="#depths">Depth of the network</a>' in page
    assert '<h3 id="demo">' in page
    assert 'src="demo/phase_diagram.png" alt="phase_diagram.png" width="1000"' in page
    assert "<script>" not in page
    assert "remark &amp; more" in page
