"""Networks as plain pytrees of weights: how they start, what they compute, which features they hold."""
