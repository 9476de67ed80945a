"""Random keys by name, for whatever draws beside the library: the same streams as inside it."""

from tlx._keys import lane as lane
from tlx._keys import named as named
