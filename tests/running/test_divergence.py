"""Divergence is a result: a study whose runs all diverge ends with results, counts and what to do."""

import json

import pytest

import experiments
from benchmarks.tiny import TINY

DESCENT = {"phase_diagram", "comparison", "learning_curves", "scratch_risk"}


EVERY_DAY = ("phase_diagram", "relu_phase_diagram")  # the others are minutes together


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.parametrize(
    "study",
    [
        pytest.param(name, marks=[] if name in EVERY_DAY else pytest.mark.thorough)
        for name in TINY
        if name != "predictors"
    ],
)
def test_a_study_whose_runs_all_diverge(study, tmp_path):
    words = [word for word in TINY[study] if word != "figures=[]"] + ["optimizer.learning_rate=1000"]
    words += ["pretraining.mode=gradient_descent"] if study in DESCENT else []
    data = experiments.run(study, words, directory=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "finished"
    counts = [c for by in summary["lanes_by_status"].values() for c in by.items()]
    assert sum(n for status, n in counts if status in ("diverged", "non_finite")) > 0
    assert "diverged" in summary["notes"]
    assert "nan" not in summary["notes"].lower().split()
    assert data.sizes
    assert all(facts["cells"] == 0 or facts["worst_z"] == facts["worst_z"] for facts in summary["protocols"].values())
