"""Figures: one module a study, each a pure function from a finished data set to a matplotlib figure."""
