"""What the studies of deep linear networks share: configuration, settings, and the closed forms beside them."""
