"""Three ways to carry out a transfer protocol; see `tlx.protocols` for the two functions each one offers."""
