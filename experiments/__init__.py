"""Studies: each module here is one command. The only code that knows configuration, disk and plots.

`run`, `studies` and `presets` are the same for Python; they are loaded when first asked for, so that importing one
part of this package stays light.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("run", "studies", "presets"):
        from experiments.running import api

        return getattr(api, name)
    raise AttributeError(f"module 'experiments' has no attribute {name!r}")
