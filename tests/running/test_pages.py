"""Pages of runs: self-contained, escaped, small, and honest about folders that are not whole."""

import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from experiments import runs
from experiments.running import catalogue, report, store

NASTY = '<script>alert("x")</script>&\'"'
SUMMARY = {
    "study": "phase_diagram",
    "question": f"Where does transfer help? {NASTY}",
    "title": "d = 100",
    "command": f"python -m experiments.phase_diagram task.note='{NASTY}'",
    "changed": {"task.noise_std": [NASTY, 0.2]},
    "protocols": {
        "scratch": {"cells": 0, "instances": 3},
        "fine_tuning": {
            "cells": 4,
            "instances": 20,
            "typical_z": 0.7,
            "within_3": 0.75,
            "worst_z": -3.5,
            "worst_cell": NASTY,
            "worst_cells": [{"cell": NASTY, "z": -3.5}],
        },
        "gradient flow": {
            "cells": 1,
            "instances": 20,
            "typical_z": 11.0,
            "within_3": 0.0,
            "worst_z": 11.0,
            "worst_cell": "t = 1",
            "claimed": False,
        },
    },
    "lanes_by_status": {"fine_tuning": {"converged": 70, "diverged": 10}},
    "notes": f"remark {NASTY}",
    "captions": {"picture": f"caption {NASTY}"},
    "files": ["results.nc", "picture.png", "gone.png"],
    "seconds": {"compute": 3.0},
    "training_runs": 80,
    "config": {"study": "phase_diagram", "ensemble": {"num_instances": 20}, "task": {"noise_std": NASTY}},
    "tlx": "0.2.0",
}


class Reader(HTMLParser):
    """Counts tags and keeps what would leave the page."""

    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "one run"
    path.mkdir()
    (path / "summary.json").write_text(json.dumps(SUMMARY))
    (path / "status.json").write_text(json.dumps({"state": "finished"}))
    noise = np.random.default_rng(0).integers(0, 255, (700, 1000, 3), np.uint8)  # the worst case for a PNG
    Image.fromarray(noise).save(path / "picture.png")
    return path


def test_a_report_is_one_small_file_without_anything_from_outside(folder):
    page = report.write(folder, store).read_text()
    reader = Reader()
    reader.feed(page)
    assert len(page) < 3_000_000
    assert reader.tags.count("img") == 1  # the figure that is gone is left out
    outside = [s for s in reader.sources if not s.startswith("data:image/png;base64,")]
    assert set(outside) == {"results.nc", "summary.json"}
    assert not re.search(r"https?://", page)
    assert "-3.50" in page
    assert "75.0 %" in page


def test_no_text_of_a_run_becomes_markup(folder):
    page = report.write(folder, store).read_text()
    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert "".join(reader.words).count('alert("x")') >= 6  # shown as text everywhere


def test_changed_settings_are_those_of_the_science():
    now = {"study": "a", "task": {"dim": 3, "noise_std": 0.1}, "force": True, "seed": 0}
    default = {"study": "b", "task": {"dim": 3, "noise_std": 0.2}, "force": False, "seed": 0}
    assert report.changed(now, default) == {"task.noise_std": (0.1, 0.2)}


def test_every_folder_is_listed_as_what_it_is(folder, tmp_path, capsys):
    (tmp_path / "half" / ".hydra").mkdir(parents=True)
    (tmp_path / "half" / ".hydra" / "overrides.yaml").write_text("- task.dim=7\n- experiment=demo\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "summary.json").write_text("{not json")
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "status.json").write_text(json.dumps({"state": "failed", "study": NASTY}))
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "status.json").write_text(json.dumps({"state": "running", "study": "toy"}))
    os.utime(tmp_path / "killed" / "status.json", (1e9, 1e9))  # its heartbeat stopped long ago
    found = {run.directory.name: run for run in catalogue.find(tmp_path)}
    assert {name: run.state for name, run in found.items()} == {
        "one run": "finished",
        "half": "no results",
        "broken": "no results",
        "failed": "failed",
        "killed": "killed while running",
    }
    assert found["one run"].worst_z == 3.5  # the form that is there to be rejected does not count
    assert catalogue.worst({"flow": SUMMARY["protocols"]["gradient flow"]}) is None
    assert found["one run"].lanes == 80
    assert found["half"].settings["task.dim"] == "7"
    assert runs.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in found)
    page = (tmp_path / "index.html").read_text()
    assert NASTY not in page
    assert "one run" in page


def test_conditions_choose_runs(folder, capsys):
    assert runs.main([str(folder.parent), "ensemble.num_instances=20", "state=finished", "--no-page"]) == 0
    assert "one run" in capsys.readouterr().out or folder.name in str(folder)
    assert runs.main([str(folder.parent), "ensemble.num_instances=21"]) == 0
    assert "no run" in capsys.readouterr().out
    assert runs.main([str(folder.parent / "nowhere")]) == 2


def test_runs_of_one_study_are_told_apart_by_what_differs(tmp_path):
    for dim in (10, 20):
        path = tmp_path / f"d{dim}"
        path.mkdir()
        config = {"study": "phase_diagram", "task": {"dim": dim, "noise_std": 0.1}}
        (path / "summary.json").write_text(json.dumps({"study": "phase_diagram", "config": config}))
    found = catalogue.find(tmp_path)
    assert {tuple(d.items()) for d in catalogue.differences(found).values()} == {
        (("task.dim", 10),),
        (("task.dim", 20),),
    }
