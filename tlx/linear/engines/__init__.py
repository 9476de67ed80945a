"""Three ways to carry out a transfer protocol, behind one interface: `engine("full")`, "spectral" or "flow"."""

from tlx.linear.engines.base import Engine as Engine
from tlx.linear.engines.base import Prepared as Prepared
from tlx.linear.engines.base import Trained as Trained
from tlx.linear.engines.table import ENGINES as ENGINES
from tlx.linear.engines.table import engine as engine
