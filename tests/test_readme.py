"""What the README shows works as written."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from experiments.running import api, compose

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = sorted(set(re.findall(r"python -m experiments\.(\w+)([^#\n`|]*)", TEXT)))


def composed(study, overrides):
    own = api.find(study)
    return compose.typed(own, compose.composed(own, overrides))


@pytest.mark.slow
@pytest.mark.parametrize(("study", "rest"), COMMANDS)
def test_commands_compose(study, rest):
    """Every command names a study, presets and keys that exist; a sweep's first and last job compose."""
    if study not in api.studies():
        assert (ROOT / "experiments" / f"{study}.py").exists()  # a command that is not a study
        return
    words = [w for w in shlex.split(rest) if not w.startswith("-")]
    for end in (0, -1):
        overrides = [_choice(word, end) for word in words]
        if any(re.search(r"[A-Z]{3,}", w) for w in overrides):
            continue  # a placeholder such as DIR
        assert composed(study, overrides).study == study


def _choice(word, end):
    """One job's override of a sweep's."""
    key, _, value = word.partition("=")
    return word if value.startswith("[") else f"{key}={value.split(',')[end]}"


@pytest.mark.slow
def test_theory_block_runs():
    names = {}
    (block,) = [b for b in PYTHON if "from tlx import theory" in b]
    exec(block, names)
    assert names["theta"].shape == (50,)


@pytest.mark.slow
def test_reading_block_runs(tmp_path, monkeypatch):
    """The lines that read a result, on the result of a small run of the demo's preset."""
    (block,) = [b for b in PYTHON if "open_dataset" in b]
    path = re.search(r'open_dataset\("(.*?)"\)', block).group(1)
    small = ["experiment=demo", "task.dim=12", "ensemble.num_instances=2", "grid.overlap_angles=[0.4,0.8]"]
    small += ["grid.sample_ratios=[0.4,2.0]", "optimizer.num_steps=400"]
    directory = tmp_path / Path(path).parent
    api.run("phase_diagram", small, directory=directory, quiet=True)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    assert names["data"].risk.dims == ("protocol", "theta", "sample_ratio", "instance")
    assert np.isfinite(names["fine"].risk.values).all()
    names["data"].close()
    assert isinstance(names["fine"], xr.Dataset)
