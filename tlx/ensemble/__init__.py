"""Thousands of lanes from a function of one; the only package that knows a batch exists."""

from tlx.ensemble.compiled import compile_lanes as compile_lanes
from tlx.ensemble.compiled import devices_of as devices_of
from tlx.ensemble.compiled import lower_lanes as lower_lanes
from tlx.ensemble.compiled import peak_bytes as peak_bytes
from tlx.ensemble.cores import cpu_cores as cpu_cores
from tlx.ensemble.cores import use_cpu_cores as use_cpu_cores
from tlx.ensemble.layout import Layout as Layout
from tlx.ensemble.layout import make_layout as make_layout
from tlx.ensemble.program import nested as nested
from tlx.ensemble.run import run as run
from tlx.ensemble.run import run_nested as run_nested
from tlx.ensemble.watch import Rehearsed as Rehearsed
from tlx.ensemble.watch import journal as journal
from tlx.ensemble.watch import rehearsal as rehearsal
