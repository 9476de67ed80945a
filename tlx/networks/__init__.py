"""Networks as plain pytrees of weights: how they start, what they compute, which features they hold.

Each is loaded when it is first asked for: Flax, which `mlp` needs, is slow to import.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlx.networks import deep_linear as deep_linear
    from tlx.networks import mean_field as mean_field
    from tlx.networks import mlp as mlp


def __getattr__(name: str) -> ModuleType:
    if name in ("deep_linear", "mean_field", "mlp"):
        return importlib.import_module(f"tlx.networks.{name}")
    raise AttributeError(f"module 'tlx.networks' has no attribute {name!r}")
