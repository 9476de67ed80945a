"""Training as it is done: the risk at any time, after any number of steps, and where to stop."""

from tlx.theory.training.balance_over_time import balance_over_time as balance_over_time
from tlx.theory.training.best_stopping import best_stopping as best_stopping
from tlx.theory.training.best_stopping import stopped_break_even_angle as stopped_break_even_angle
from tlx.theory.training.best_stopping import stopped_transferability as stopped_transferability
from tlx.theory.training.covariance_over_time import covariance_risk_over_time as covariance_risk_over_time
from tlx.theory.training.risk_after_steps import risk_after_steps as risk_after_steps
from tlx.theory.training.risk_over_time import risk_over_time as risk_over_time
