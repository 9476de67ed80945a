"""Code in the documentation works as written."""

import doctest
import importlib
import importlib.util
import pkgutil
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import experiments
import tlx
from experiments.running import api, compose
from experiments.running import help as helps

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"reference", "gallery"} & set(path.parts))
BLOCK = re.compile(r"```(?:python|sh|text)\n(.*?)```", re.S)
COMMANDS = sorted({
    (found.group(1), found.group(2).split("#")[0].strip())
    for page in PAGES
    for block in BLOCK.findall(page.read_text(encoding="utf-8"))
    for found in re.finditer(r"python -m experiments\.(\w+)(.*)", block)
})  # fmt: skip


def block(page, holding):
    """The one block of Python on a page that holds these words."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)
    (found,) = [text for text in blocks if holding in text]
    return found


def load(name):
    """A program that a page includes, as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "howto" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstring_examples_run():
    """Examples in docstrings, where there are any, print what they say."""
    for info in pkgutil.walk_packages(tlx.__path__, "tlx."):
        result = doctest.testmod(importlib.import_module(info.name), optionflags=doctest.ELLIPSIS)
        assert result.failed == 0, info.name


@pytest.mark.slow
def test_theory_as_functions():
    names = {}
    exec(block("start.md", "from tlx import theory"), names)
    assert names["theta"].shape == (50,)


def test_planner_on_a_pilot():
    names = {}
    exec(block("howto/planner.md", "planner.plan"), names)
    assert names["advice"].recommendation in ("scratch", "linear_transfer", "fine_tuning", "undecided")


@pytest.mark.slow
def test_runs_from_python_and_reading_results(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block("howto/results.md", "experiments.run"), names)
    assert names["data"].risk.dims == ("protocol", "theta", "sample_ratio", "instance")
    exec(block("howto/results.md", "explorer.json"), names)
    assert len(names["points"]) > 20
    assert page.run("return window.tlx.load(arguments[0]);", (tmp_path / "explorer.json").read_text()) is True
    (place,) = tmp_path.rglob("results.nc")
    where = tmp_path / "outputs" / "phase_diagram" / "demo"
    where.mkdir(parents=True)
    place.rename(where / "results.nc")
    exec(block("howto/results.md", "open_dataset"), names)
    assert np.isfinite(names["fine"].risk.values).all()
    names["data"].close()


@pytest.mark.slow
def test_own_study(tmp_path):
    module = load("my_study")
    small = {"dim": 12, "ensemble.num_instances": 200, "grid.num_samples": [6, 24]}
    data = experiments.run(module.NormStudy(), small, directory=tmp_path, quiet=True)
    assert data.risk.shape == (2, 200)
    assert float(abs(data.z).max()) < 4
    with pytest.raises(ValueError, match="within 1 of dim"):
        experiments.run(module.NormStudy(), {"grid.num_samples": [40]}, directory=tmp_path / "bad", quiet=True)


@pytest.mark.extended
@pytest.mark.slow
def test_own_network():
    report, moved, alone = load("my_network").compare(steps=150)
    assert 0 < report.out_of_space < 1
    assert all(np.isfinite([m.linear_transfer_risk, m.fine_tuning_risk]).all() for m in moved)
    assert all(np.isfinite(a.risk) for a in alone)


@pytest.mark.parametrize(("study", "words"), COMMANDS)
def test_commands_name_what_there_is(study, words):
    """Every command shown composes, and its configuration passes the study's checks; nothing is computed."""
    if study not in experiments.studies():
        assert (DOCS.parent / "experiments" / f"{study}.py").exists() or (DOCS / "howto" / f"{study}.py").exists()
        return
    given = [w for w in shlex.split(words) if not w.startswith("-")]
    if any(re.search(r"[A-Z]{3,}", w) for w in given):
        return  # a placeholder such as DIR
    first = [re.sub(r"=([^\[,]*),.*", r"=\1", w) for w in given if not w.startswith("store=")]
    own = api.find(study)
    if "--help" in words:  # of one key
        keys = [w for w in first if "=" not in w]
        assert all(helps.about_keys(own.Config, compose.composed(own, []), key) for key in keys)
        return
    assert own.axes(compose.typed(own, compose.composed(own, first)))
