"""The types and shapes that signatures promise are those that flow: checked by beartype, in a process of its own.

Annotations are checked by the import hook at every call, inside traced code as well; a wrong axis name, dtype or type
anywhere on these roads is an error.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

BEGIN = """
from jaxtyping import install_import_hook
install_import_hook("tlx", "beartype.beartype")
import dataclasses
import jax, jax.numpy as jnp, numpy as np
from tlx import _keys, ensemble
key = jax.random.key(3)
"""

THEORY = """
from tlx import theory
angle = jnp.linspace(0.1, 3.0, 4)
theory.transferability("linear_transfer", angle, 0.5, 0.2, num_samples=20.0)
theory.transferability("fine_tuning", angle, 0.5, 0.2)
for method in ("linear_transfer", "fine_tuning"):
    theory.negative_transfer_boundary(method, angle, 0.2)
jax.jit(theory.scratch_risk)(jnp.float32(0.4), 0.2)
jax.vmap(lambda a: theory.fine_tuning_risk(a, 0.5, 0.2, depth=3, source_ratio=1.5))(angle)
jax.grad(lambda a: theory.linear_transfer_risk(a, 0.2, num_samples=30.0, ridge=0.1))(0.7)
theory.optimal_ridge_risk(np.array([0.5, 2.0]), 0.3)
"""

ENGINES = """
from tlx.linear import lanes
from tlx.linear.pairs import Pairs, pair_lanes
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer
short = Optimizer(0.01, 40)
for source in (None, 9):
    setting = LinearSetting(dim=8, depth=2, noise_std=0.2, source_samples=source, pretrain=short, scratch=short,
                            fine_tune=short, ridges=(0.0, 0.1), weight_decays=(0.0, 0.01),
                            times=() if source else (0.0, 0.2))
    for name in ("full", "spectral", "flow"):
        lanes.transfer_grid(name, setting, key, np.arange(2), np.array([4, 12]), np.array([0.3, 0.9], np.float32))
pair_lanes("flow", setting, key, Pairs(0, np.arange(2), 0.4, 1.0, 0.3, 5))
lanes.pretraining_lanes("full", setting, key, [1], observe=lambda weights, source: source, record_at=(0, 40))
"""

NONLINEAR = """
from tlx import kernels, nonlinear
from tlx.nonlinear import MeanField, MultiLayer, NonlinearSetting
from tlx.train import Optimizer
rows = jax.random.normal(key, (3, 5))
kernels.relu_gram(rows, rows[:2]); kernels.erf_gram(rows, rows)
short = Optimizer(0.05, 30, momentum=0.9)
for family, amount in (("removal", 0.5), ("rotation", 0.4), ("mixture", 0.4)):
    setting = NonlinearSetting(MeanField(6, 8, "relu"), family, 4, "signs", "relu", sizes=(10, 20),
                               pretrain=short, scratch=short, fine_tune=short)
    prepared, report = nonlinear.prepare(setting, key, jnp.float32(amount))
    nonlinear.transfer(setting, key, prepared, jnp.int32(1))
    nonlinear.from_scratch(setting, key, jnp.int32(0))
"""

PLANNER = """
from tlx import planner, discrepancy
X = np.random.default_rng(0).standard_normal((30, 6)); y = X[:, 0] + 0.1 * X[:, 1]
planner.plan(X, y, source=np.eye(6)[0], seed=0)
planner.plan(X, y, features=X[:, :2], seed=0)
"""


@pytest.mark.extended
@pytest.mark.slow
def test_annotations_hold():
    """All roads in one process: most of its time goes into the imports that are hooked."""
    calls = BEGIN + THEORY + ENGINES + NONLINEAR + PLANNER
    found = subprocess.run([sys.executable, "-c", calls], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stderr[-3000:]


def test_a_wrong_shape_is_caught():
    """The check can fail: rows of unequal width are refused by the annotations, not by the arithmetic."""
    wrong = BEGIN + "from tlx import kernels\nkernels.relu_gram(jnp.ones((3, 5)), jnp.ones((2, 4)))"
    found = subprocess.run([sys.executable, "-c", wrong], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert "TypeCheckError" in found.stderr
