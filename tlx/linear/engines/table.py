"""The engines by name."""

from tlx._checks import check_choice
from tlx.linear.engines.base import Engine
from tlx.linear.engines.flow import Flow
from tlx.linear.engines.full import Full
from tlx.linear.engines.spectral import Spectral

ENGINES: dict[str, Engine] = {one.name: one for one in (Full(), Spectral(), Flow())}


def engine(name: str | Engine) -> Engine:
    """The engine of that name: "full", "spectral" or "flow" (an engine is handed back as it is)."""
    if isinstance(name, Engine):
        return name
    check_choice("engine", name, tuple(ENGINES))
    return ENGINES[name]
