"""Networks and tasks with one thing wrong each, named in tests of what is said about them."""

import dataclasses

import jax.numpy as jnp
from flax import linen

from experiments.examples import convolution
from tlx.nonlinear import CustomTask, FlaxModel, MultiLayer


@dataclasses.dataclass(frozen=True)
class Sound:
    """Has what a model has, and derives from nothing."""

    dim: int = 6

    def __getattr__(self, name):
        return getattr(MultiLayer(6, (4,)), name)


def sound():
    return Sound()


def without_refit():
    class NoRefit:
        dim = 6
        start = apply = features = scaled = staticmethod(lambda *_: None)

    return NoRefit()


@dataclasses.dataclass(frozen=True)
class TwoOutputs(Sound):
    def apply(self, weights, inputs):
        return jnp.ones((inputs.shape[0], 2))


@dataclasses.dataclass(frozen=True)
class NotANumber(Sound):
    def apply(self, weights, inputs):
        return jnp.full(inputs.shape[0], jnp.nan)


@dataclasses.dataclass(frozen=True)
class Confused(Sound):
    def refit(self, weights, coefficients):
        return weights


@dataclasses.dataclass(frozen=True)
class Mixing(Sound):
    def apply(self, weights, inputs):
        return jnp.sum(inputs, 1) - jnp.sum(inputs)


@dataclasses.dataclass(frozen=True)
class Failing(Sound):
    def features(self, weights, inputs):
        raise RuntimeError("no features today")


class Unhashable(Sound):
    __hash__ = None


class NoHead(linen.Module):
    @linen.compact
    def __call__(self, x):
        return jnp.tanh(linen.Dense(1)(x))


class Normalised(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(linen.BatchNorm(use_running_average=False)(x))


def no_head():
    return NoHead()


def normalised(dim):
    return FlaxModel(Normalised(), (dim,))


def wrong_target():
    return CustomTask(convolution.images, convolution.source, lambda key, x: x)


def infinite_source():
    return CustomTask(convolution.images, lambda key, amount, x: x[:, 0, 0, 0] / amount, convolution.target)


def whole_numbers():
    return CustomTask(lambda key, count: jnp.ones((count, 6), int), convolution.source, convolution.target)


def needs_more(dim, colour):
    return None
