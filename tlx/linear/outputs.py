"""Several outputs: matrix teachers at principal angles, and deep linear networks with o outputs trained on them.

Labels are y = B^T x + sigma eps with B (d, o) and the noise of each output its own; risks are |B_hat - B_t|^2, summed
over outputs. Everything is written for one source/target pair; `output_lanes` runs thousands.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tlx import _keys, _lanes, ensemble, linalg
from tlx._checks import (
    check_angle,
    check_count,
    check_instance,
    check_nonnegative,
    check_positive,
    concrete,
    require,
)
from tlx._lanes import Progress
from tlx.ensemble import Layout
from tlx.linear import data
from tlx.train import Optimizer, train, usable

Layers = tuple[Array, ...]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["noise_std", "overlap_angles", "target_values", "source_values", "optimizer"],
    meta_fields=["dim", "depth"],
)
@dataclass(frozen=True)
class OutputsSetting:
    """Everything about pairs of matrix teachers except sample count, turn and instance.

    Attributes:
        overlap_angles: theta_i in [0, pi], radians, of each mode's input directions a_i . b_i = cos theta_i; one for
            each of the o outputs.
        target_values: r_i > 0, singular values of B_t = sum_i r_i b_i w_i^T.
        source_values: rho_i > 0, singular values of B_s = sum_i rho_i a_i v_i^T.
        dim: input dimension d >= 2 o (static).
        depth: weight layers L >= 2 (static).
        noise_std: sigma >= 0 of every output.
        optimizer: of fine-tuning.
    """

    overlap_angles: tuple[float, ...] | Float[Array, " o"]
    target_values: tuple[float, ...] | Float[Array, " o"]
    source_values: tuple[float, ...] | Float[Array, " o"]
    dim: int = 100
    depth: int = 2
    noise_std: float | Array = 0.5
    optimizer: Optimizer = field(default_factory=Optimizer)

    def __post_init__(self) -> None:
        check_count("dim", self.dim)
        check_count("depth", self.depth, 2, remedy="One layer has no features to freeze.")
        check_angle("overlap_angles", self.overlap_angles)
        check_positive("target_values", self.target_values)
        check_positive("source_values", self.source_values, remedy="A mode that the source lacks is never trained.")
        check_nonnegative("noise_std", self.noise_std)
        check_instance("optimizer", self.optimizer, Optimizer)
        names = ("overlap_angles", "target_values", "source_values")
        known = [values for values in (concrete(getattr(self, name)) for name in names) if values is not None]
        shapes = [values.shape for values in known]
        same = len(set(shapes)) <= 1 and all(len(shape) == 1 and shape[0] > 0 for shape in shapes)
        require(same, f"{', '.join(names)} have shapes {shapes}; give one number for each output.")
        outputs = shapes[0][0] if shapes else 1
        require(
            self.dim >= 2 * outputs,
            f"dim = {self.dim} has no room for the {2 * outputs} input directions of {outputs} outputs; raise it.",
        )


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


class Teachers(NamedTuple):
    """Two tasks and the singular vectors of the first: B_s = inputs diag(rho) outputs^T, B_t; both (d, o)."""

    source: Float[Array, "d o"]
    target: Float[Array, "d o"]
    inputs: Float[Array, "d o"]
    outputs: Float[Array, "o o"]


def turned(outputs: int, angle: float | Array) -> Float[Array, "o o"]:
    """The rotation by `angle` in the planes of the modes (1, 2), (3, 4), ...; a last odd mode stays."""
    matrix, cosine, sine = jnp.eye(outputs), jnp.cos(angle), jnp.sin(angle)
    for i in range(0, outputs - 1, 2):
        matrix = matrix.at[i : i + 2, i : i + 2].set(jnp.stack([jnp.stack([cosine, -sine]), jnp.stack([sine, cosine])]))
    return matrix


def teachers(key: Array, setting: OutputsSetting, turn: float | Array = 0.0) -> Teachers:
    """A random pair at the setting's principal angles; at turn 0 source and target share their output vectors.

    Args:
        key: identifies the instance; one key gives one source, and a family of targets on the same input directions.
        setting: angles and singular values.
        turn: radians in [0, pi] by which the target's output vectors are turned against the source's (see `turned`).
    """
    check_angle("turn", turn)
    angles, values, source_values = (
        jnp.asarray(x, jnp.result_type(float))
        for x in (setting.overlap_angles, setting.target_values, setting.source_values)
    )
    (count,) = angles.shape
    frame, _ = jnp.linalg.qr(jax.random.normal(_keys.named(key, "inputs"), (setting.dim, 2 * count)))
    outputs, _ = jnp.linalg.qr(jax.random.normal(_keys.named(key, "outputs"), (count, count)))
    learned, across = frame[:, :count], frame[:, count:]
    wanted = learned * jnp.cos(angles)[None, :] + across * jnp.sin(angles)[None, :]
    source = (learned * source_values[None, :]) @ outputs.T
    target = (wanted * values[None, :]) @ (outputs @ turned(count, turn)).T
    return Teachers(source, target, learned, outputs)


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
