"""Training as it is done: the risk at any time, after any number of steps, and where to stop."""

from tlx.theory.training.risk_after_steps import risk_after_steps as risk_after_steps
from tlx.theory.training.risk_over_time import risk_over_time as risk_over_time
