"""Three ways to carry out a transfer protocol; see `tlx.protocols` for the two functions each one offers."""

from tlx.engines import flow as flow
from tlx.engines import full as full
from tlx.engines import spectral as spectral
