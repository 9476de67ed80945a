"""Transfer learning in JAX: closed forms, and batched training of source/target pairs.

Where to look: `tlx.theory` (closed forms, one theorem a file); `tlx.linear` (one deep linear pair: setting, data, and
engines: in full, in the data's eigenbasis, or at the end of gradient flow; `tlx.linear.lanes` trains grids of them);
`tlx.nonlinear` (the same for two-layer and deeper networks), `tlx.kernels`; `tlx.train` (one training run);
`tlx.ensemble` (any one-pair function over thousands of lanes and all devices); `tlx.discrepancy`,
`tlx.feature_scores`, `tlx.planner` (what can be said before training). Theory and simulation never import each other.
Words and symbols: `tlx.glossary`.

Each of these is loaded when it is first asked for.
"""

import importlib
from importlib.metadata import version as _version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlx import discrepancy as discrepancy
    from tlx import ensemble as ensemble
    from tlx import feature_scores as feature_scores
    from tlx import glossary as glossary
    from tlx import kernels as kernels
    from tlx import keys as keys
    from tlx import linalg as linalg
    from tlx import linear as linear
    from tlx import networks as networks
    from tlx import nonlinear as nonlinear
    from tlx import planner as planner
    from tlx import stats as stats
    from tlx import theory as theory
    from tlx import train as train

_PARTS = (
    "discrepancy",
    "ensemble",
    "feature_scores",
    "glossary",
    "kernels",
    "keys",
    "linalg",
    "linear",
    "networks",
    "nonlinear",
    "planner",
    "stats",
    "theory",
    "train",
)

__version__ = _version("tlx")


def __getattr__(name: str) -> ModuleType:
    if name in _PARTS:
        return importlib.import_module(f"tlx.{name}")
    raise AttributeError(f"module 'tlx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PARTS]
