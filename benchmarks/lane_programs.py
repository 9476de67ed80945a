"""The programs that studies run, and one gradient step of each, as functions of one lane with small example lanes."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tlx import ensemble
from tlx.linear import chain, data
from tlx.linear.engines import engine
from tlx.linear.lanes import grid_programs
from tlx.linear.setting import LinearSetting
from tlx.networks import deep_linear
from tlx.nonlinear import MeanField, NonlinearSetting
from tlx.nonlinear import lanes as pairs
from tlx.train import Optimizer

PROGRAMS = ("full", "spectral", "flow", "relu")
SCALES = ("small", "demo", "paper")
RATE = 0.01
DIMS = {"small": 16, "demo": 100, "paper": 500}
ANGLES = {"small": 2, "demo": 9, "paper": 20}
RELU = {  # neurons, input dimension, teacher neurons, sample sizes
    "small": (8, 4, 4, (8, 16)),
    "demo": (64, 20, 10, (20, 40, 80, 160, 320)),
    "paper": (1000, 100, 100, (100, 200, 400, 800, 1600, 3200, 6400)),
}


class Program(NamedTuple):
    """A whole lane program, the weights and data of one step of it, and what a pair costs in steps.

    Attributes:
        function, lanes, shared: as `ensemble.run` takes them; two example lanes.
        step: (weights, data) -> weights, one gradient step of one lane; None for a program without steps.
        weights, data: shapes of its arguments.
        steps: of one pair: pretraining and fine-tuning, each as long as it may be.
    """

    function: Callable
    lanes: Any
    shared: Any
    step: Callable | None
    weights: Any
    data: Any
    steps: int


@functools.cache
def program(name: str, scale: str) -> Program:
    """One of PROGRAMS at one of SCALES, as its study lays it out on an accelerator."""
    return _relu(scale) if name == "relu" else _linear(name, scale)


def _linear(name: str, scale: str) -> Program:
    dim = DIMS[scale]
    tune = Optimizer(RATE, 5000)
    ridges = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5) if scale == "paper" else (0.0,)
    setting = LinearSetting(
        dim=dim, noise_std=0.2, ridges=ridges, pretrain=tune, fine_tune=tune, scratch=Optimizer(0.1, 10_000)
    )

    lanes = {"instance": np.arange(2, dtype=np.int32), "num_samples": np.full(2, dim // 2, np.int32)}
    angles = np.linspace(0.1, 1.5, ANGLES[scale], dtype=np.float32)
    shared = ((setting, jax.random.key(0)), angles)
    vector, number = jax.ShapeDtypeStruct((dim,), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    step: Callable | None = None
    weights: Any = None
    sample: Any = None
    if name == "full":
        shapes = deep_linear.shapes(dim, setting.hidden_width, 2)
        weights = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
        sample = data.Moments(jax.ShapeDtypeStruct((dim, dim), jnp.float32), vector, number, number)
        step = _descent(lambda w, s: data.squared_loss(deep_linear.predictor(w), s))
    if name == "spectral":
        weights, sample = chain.Chain(vector, number), chain.Modes(vector, vector, number)
        step = _descent(lambda w, s: chain.squared_loss(w, s, 2))
    steps = 0 if step is None else setting.pretrain.num_steps + setting.fine_tune.num_steps
    return Program(ensemble.nested(*grid_programs(engine(name)), True), lanes, shared, step, weights, sample, steps)


def _relu(scale: str) -> Program:
    width, dim, neurons, sizes = RELU[scale]
    model, tune = MeanField(dim, width, "relu", 1.0), Optimizer(0.1, 4000, momentum=0.9)
    setting = NonlinearSetting(
        model=model, num_teacher_neurons=neurons, sizes=sizes, scratch=tune, fine_tune=tune,
        pretrain=Optimizer(0.1, 3000, momentum=0.9, tolerance=0.0),
    )  # fmt: skip

    lanes = {"instance": np.arange(2, dtype=np.int32), "amount": np.full(2, 0.5, np.float32)}
    shared = ((setting, jax.random.key(0)), np.arange(len(sizes), dtype=np.int32))
    weights = jax.eval_shape(model.start, jax.random.key(0))
    sample = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((sizes[-1], dim), (sizes[-1],)))
    step = _descent(lambda w, s: jnp.mean((model.apply(w, s[0]) - s[1]) ** 2))
    steps = setting.pretrain.num_steps + setting.fine_tune.num_steps
    return Program(ensemble.nested(pairs.prepare, pairs.transfer, False), lanes, shared, step, weights, sample, steps)


def _descent(loss: Callable) -> Callable:
    def step(weights: Any, sample: Any) -> Any:
        return jax.tree.map(lambda w, g: w - RATE * g, weights, jax.grad(loss)(weights, sample))

    return step
