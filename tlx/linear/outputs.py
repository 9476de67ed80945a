"""Several outputs: deep linear networks with o outputs, trained on matrix teachers (`tlx.linear.matrix_task`).

Labels are y = B^T x + sigma eps with B (d, o) and the noise of each output its own; risks are |B_hat - B_t|^2, summed
over outputs. Everything is written for one source/target pair; `output_lanes` runs thousands.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tlx import _keys, _lanes, ensemble, linalg
from tlx._checks import check_angle, require
from tlx._lanes import Progress
from tlx.ensemble import Layout
from tlx.linear import data
from tlx.linear.matrix_task import OutputsSetting, Teachers, teachers
from tlx.train import train, usable

Layers = tuple[Array, ...]


class OutputsReport(NamedTuple):
    """One source/target pair. Excess population risks, summed over outputs; NaN where training failed.

    Attributes:
        scratch_risk: of the minimum-norm fit, where gradient flow from small starts ends.
        linear_transfer_risk: of the last layer refitted on the source network's features, exactly.
        fine_tuning_risk: of all layers trained on from the source network.
        status, num_steps: of that training.
    """

    scratch_risk: Float[Array, ""]
    linear_transfer_risk: Float[Array, ""]
    fine_tuning_risk: Float[Array, ""]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]


def pretrained(setting: OutputsSetting, pair: Teachers) -> Layers:
    """The balanced network that computes B_s, where gradient flow on the population from small starts ends.

    W_1 = a diag(rho^{1/L}), W_l = diag(rho^{1/L}), W_L = diag(rho^{1/L}) v^T: as wide as there are modes. Further
    hidden units hold zeros in this limit, get no gradient, and would change nothing.
    """
    size = jnp.asarray(setting.source_values, pair.source.dtype) ** (1 / setting.depth)
    middle = (jnp.diag(size),) * (setting.depth - 2)
    return (pair.inputs * size[None, :], *middle, size[:, None] * pair.outputs.T)


def product(layers: Layers) -> Array:
    """W_1 W_2 ... W_L."""
    return functools.reduce(jnp.matmul, layers[1:], layers[0])


class Sample(NamedTuple):
    """Second moments in the eigenbasis of X^T X/n: basis, eigenvalues, X^T Y/n, |Y|^2/n, and the unseen modes."""

    basis: Float[Array, "d d"]
    eigenvalues: Float[Array, " d"]
    cross: Float[Array, "d o"]
    power: Float[Array, ""]
    unseen: Array


def draw(key: Array, target: Float[Array, "d o"], noise_std: float | Array, count: Array, rows: int) -> Sample:
    """A sample of `count` <= `rows` rows; the first rows are the same whatever the count."""

    def normal(name: str, width: int) -> Array:
        return data.draw(_keys.named(key, name), jnp.zeros(width), jnp.ones(width), 0.0, rows)[0]

    dim, outputs = target.shape
    inside = (jnp.arange(rows) < count).astype(target.dtype)[:, None]
    inputs = inside * normal("inputs", dim)
    labels = inputs @ target + inside * noise_std * normal("noise", outputs)
    size = jnp.asarray(count, target.dtype)
    eigenvalues, basis = linalg.eigh(inputs.T @ inputs / size)
    unseen = jnp.arange(dim) < dim - count
    cross = jnp.where(unseen[:, None], 0.0, basis.T @ (inputs.T @ labels) / size)
    eigenvalues = jnp.where(unseen, 0.0, jnp.maximum(eigenvalues, 0.0))
    return Sample(basis, eigenvalues, cross, jnp.sum(labels**2) / size, unseen)


def squared_loss(layers: Layers, sample: Sample) -> Float[Array, ""]:
    """(1/n)|X B - Y|^2 of a network whose first layer is in the basis of the sample."""
    matrix = product(layers)
    return jnp.sum(matrix * (sample.eigenvalues[:, None] * matrix - 2 * sample.cross)) + sample.power


def probe(features: Float[Array, "d w"], sample: Sample) -> Float[Array, "d o"]:
    """Every output refitted by least squares on frozen features, given in the basis of the sample."""
    gram = features.T @ (sample.eigenvalues[:, None] * features)
    refit = jax.vmap(lambda cross: linalg.ridge_solutions(gram, cross, jnp.zeros(1, gram.dtype))[0], 1, 1)
    return features @ refit(features.T @ sample.cross)


def transfer(
    setting: OutputsSetting, key: Array, num_samples: Array | int, turn: float | Array, *, rows: int
) -> OutputsReport:
    """Scratch, linear transfer and fine-tuning on one source/target pair.

    Args:
        setting: see `OutputsSetting`.
        key: of the instance.
        num_samples: n >= 1 of the target, at most `rows`; may be traced.
        turn: see `teachers`.
        rows: rows drawn (static).
    """
    pair = teachers(key, setting, turn)
    count = jnp.asarray(num_samples, jnp.int32)
    sample = draw(_keys.lane(_keys.named(key, "data set"), count), pair.target, setting.noise_std, count, rows)
    inward = sample.basis.T
    wanted = inward @ pair.target
    first, *rest = pretrained(setting, pair)
    layers = (inward @ first, *rest)

    def risk(matrix: Array) -> Array:
        return jnp.sum((matrix - wanted) ** 2)

    seen = ~sample.unseen[:, None]
    scratch = jnp.where(seen, sample.cross / jnp.where(seen, sample.eigenvalues[:, None], 1.0), 0.0)
    end = train(lambda weights: squared_loss(weights, sample), layers, setting.optimizer)
    return OutputsReport(
        scratch_risk=risk(scratch),
        linear_transfer_risk=risk(probe(product(layers[:-1]), sample)),
        fine_tuning_risk=jnp.where(usable(end.status), risk(product(end.params)), jnp.nan),
        status=end.status,
        num_steps=end.num_steps,
    )


def output_lanes(
    setting: OutputsSetting,
    key: Array,
    instances: Any,
    num_samples: Any,
    turns: Any,
    *,
    rows: int | None = None,
    layout: Layout | None = None,
    progress: Progress = None,
) -> OutputsReport:
    """`transfer` of many pairs: instances, sample counts and turns broadcast, and their axes come first.

    `rows` are drawn for every pair, None for the largest n; the same number keeps one compiled program.
    """
    counts = _lanes.integers("num_samples", num_samples, 1)
    check_angle("turns", turns)
    whole = {"instance": _lanes.integers("instances", instances), "num_samples": counts}
    lanes, shape = _lanes.broadcast({**whole, "turn": np.asarray(turns, float)})
    rows = int(counts.max()) if rows is None else rows
    require(rows >= counts.max(), f"rows = {rows} holds fewer rows than the sample of {counts.max()}; raise it.")
    program = _program(rows)
    return _lanes.shaped(ensemble.run(program, lanes, (setting, key), layout=layout, progress=progress), shape)


@functools.lru_cache(maxsize=16)
def _program(rows: int) -> Callable:
    def program(shared: Any, lane: dict[str, Array]) -> OutputsReport:
        setting, key = shared
        own = _keys.lane(key, lane["instance"])
        return transfer(setting, own, lane["num_samples"], lane["turn"], rows=rows)

    return program
