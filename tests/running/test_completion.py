"""Tab completion in bash: names of studies, their keys and named options, after `python -m`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = 'source conf/completion.bash; COMP_LINE="$1"; COMP_POINT=${#1}; _tlx_complete; printf "%s\\n" "${COMPREPLY[@]}"'


def offered(line):
    """What bash offers at the end of a command line."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", line],
        cwd=ROOT,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_completion_in_bash():
    assert offered("python -m experiments.sc") == ["experiments.scratch_risk"]
    assert offered("python -m experiments.scratch_risk task.dim=50 task.so") == [
        "task.source_noise_std=",
        "task.source_norm=",
        "task.source_ratio=",
    ]
