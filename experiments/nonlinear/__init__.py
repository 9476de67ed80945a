"""What the studies of nonlinear networks share: configuration, settings, and the predictions beside them."""
