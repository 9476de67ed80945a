"""Figures: one module a study, each a pure function from a finished data set to a matplotlib figure."""

from experiments._figures._style import save as save
