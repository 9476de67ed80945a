"""Exact Gaussian expectations E[phi(a.x) phi(b.x)], x ~ N(0, I): Gram matrices without sampling."""

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import CLOSED_FORMS as CLOSED_FORMS
from .activations import Activation as Activation
from .activations import activation_function as activation_function
from .activations import closed_form as closed_form
from .arc_cosine import relu_gram as relu_gram
from .error_function import erf as erf
from .error_function import erf_gram as erf_gram
from .hermite import HermiteGram as HermiteGram
from .hermite import hermite_gram as hermite_gram
from .linear import linear_gram as linear_gram
from .sampled import SampledGram as SampledGram
from .sampled import sampled_gram as sampled_gram
