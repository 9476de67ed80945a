"""Networks as plain pytrees of weights: how they start, what they compute, which features they hold."""

from tlx.networks import deep_linear as deep_linear
from tlx.networks import mean_field as mean_field
from tlx.networks import mlp as mlp
