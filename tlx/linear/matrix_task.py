"""Matrix teachers at principal angles: two tasks of several outputs whose output directions are shared, or turned."""

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tlx import _keys
from tlx._checks import (
    check_angle,
    check_count,
    check_instance,
    check_nonnegative,
    check_positive,
    concrete,
    require,
)
from tlx.train import Optimizer


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
