"""Three ways to carry out a transfer protocol; each module has `prepare` and `transfer`."""

from tlx.linear.engines import flow as flow
from tlx.linear.engines import full as full
from tlx.linear.engines import spectral as spectral
