"""The joint law of a task, p(x, y) = N(x; 0, I) N(y; f(x), noise_std²), and the difference of two tasks' outputs."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from tlx._checks import check_count, check_nonnegative, check_positive, require

_PANEL_NODES = 160
_REACH = 13.0  # in units of the noise: two unit Gaussians this far apart differ from disjoint by less than 1e-10


class LinearLaw(NamedTuple):
    """y = x . weights + noise. `weights` (d,), `noise_std` >= 0."""

    weights: Float[Array, " d"]
    noise_std: float | Float[Array, ""]


class FunctionLaw(NamedTuple):
    """y = function(x) + noise, for any teacher. `function` maps (n, d) inputs to (n,) outputs."""

    function: Callable[[Float[Array, "n d"]], Float[Array, " n"]]
    noise_std: float | Float[Array, ""]


Law = LinearLaw | FunctionLaw


class InputNodes(NamedTuple):
    """Points x_i (n, d) and weights (n,), sum 1: sum_i weights_i h(x_i) stands for E h(x), x ~ N(0, I_d)."""

    points: Float[Array, "n d"]
    weights: Float[Array, " n"]


def sampled_inputs(points: Float[Array, "n d"]) -> InputNodes:
    """Equal weights on a drawn sample: unbiased for every expectation over x, with error falling as 1/sqrt(n)."""
    return InputNodes(points, jnp.full(points.shape[0], 1.0 / points.shape[0], points.dtype))


def gauss_hermite_inputs(dim: int, num_nodes: int) -> InputNodes:
    """Tensor Gauss-Hermite rule: exact for polynomials of degree below 2 * num_nodes in each of `dim` inputs.

    For d up to about 3 (num_nodes^dim points). A kinked function (ReLU) costs it the spectral accuracy: expect
    errors of order 1/num_nodes near the kink.
    """
    check_count("dim", dim)
    check_count("num_nodes", num_nodes)
    require(
        num_nodes**dim <= 2_000_000,
        f"{num_nodes}^{dim} points are too many; use sampled_inputs in high dimension.",
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    grids = np.meshgrid(*[nodes] * dim, indexing="ij")
    masses = np.meshgrid(*[weights / np.sum(weights)] * dim, indexing="ij")
    points = np.stack([grid.ravel() for grid in grids], axis=1)
    return InputNodes(jnp.asarray(points), jnp.asarray(np.prod([mass.ravel() for mass in masses], axis=0)))


def check_laws(source: Law, target: Law, *, noisy: bool) -> None:
    """Refuse impossible noise; with `noisy`, also zero noise, at which two different laws are mutually singular."""
    for name, law in (("source", source), ("target", target)):
        require(
            isinstance(law, (LinearLaw, FunctionLaw)),
            f"{name} is a {type(law).__name__}: pass a LinearLaw or FunctionLaw.",
        )
        if noisy:
            remedy = "Without noise the laws are mutually singular and every phi-divergence is at its ceiling."
            check_positive(f"{name}.noise_std", law.noise_std, remedy=remedy)
        else:
            check_nonnegative(f"{name}.noise_std", law.noise_std)
    if both_linear(source, target):
        shapes = (jnp.shape(source.weights), jnp.shape(target.weights))
        require(shapes[0] == shapes[1] and len(shapes[0]) == 1, f"weights have shapes {shapes}: two (d,) are needed.")


def both_linear(source: Law, target: Law) -> bool:
    """Whether the closed forms apply."""
    return isinstance(source, LinearLaw) and isinstance(target, LinearLaw)


def separation(source: LinearLaw, target: LinearLaw) -> Float[Array, ""]:
    """|beta_s - beta_t|, the standard deviation of the difference of the two outputs."""
    return jnp.sqrt(jnp.sum((jnp.asarray(source.weights) - jnp.asarray(target.weights)) ** 2))


def output_difference(source: Law, target: Law, inputs: InputNodes | None) -> Float[Array, " n"]:
    """f_source(x_i) - f_target(x_i) at the input nodes."""
    require(
        inputs is not None,
        "A FunctionLaw needs inputs=: sampled_inputs(points) or gauss_hermite_inputs(dim, nodes).",
    )
    values = [
        inputs.points @ law.weights if isinstance(law, LinearLaw) else law.function(inputs.points)
        for law in (source, target)
    ]
    require(
        values[0].shape == inputs.weights.shape,
        f"the source maps the inputs to shape {values[0].shape}: (n,) is needed.",
    )
    require(
        values[1].shape == inputs.weights.shape,
        f"the target maps the inputs to shape {values[1].shape}: (n,) is needed.",
    )
    return values[0] - values[1]


def mean_over_difference(
    function: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    limit: float,
    source: Law,
    target: Law,
    inputs: InputNodes | None,
) -> Float[Array, ""]:
    """E h(f_source(x) - f_target(x)) for an even h that has reached `limit` once the difference is 13 noise stds.

    Linear pairs: the difference is N(0, |beta_s - beta_t|²) and the mean is one-dimensional Gauss-Legendre quadrature,
    accurate to rounding whether the difference is small or large against the noise. Otherwise: the sum over `inputs`.
    """
    if not both_linear(source, target):
        return jnp.sum(inputs_weights(inputs) * function(output_difference(source, target, inputs)))
    spread = separation(source, target)
    scale = jnp.sqrt(jnp.asarray(source.noise_std) ** 2 + jnp.asarray(target.noise_std) ** 2)
    safe = jnp.where(spread > 0, spread, 1.0)
    top = jnp.minimum(9.0, _REACH * scale / safe)
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    z = top * jnp.asarray((nodes + 1) / 2)
    mass = top * jnp.asarray(weights) * jnp.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    inside = jnp.sum(mass * function(safe * z))
    average = inside + limit * (1 - jnp.sum(mass))
    return jnp.where(spread > 0, average, function(jnp.zeros(1))[0])


def inputs_weights(inputs: InputNodes | None) -> Float[Array, " n"]:
    """The weights, or the reason why they are needed."""
    require(
        inputs is not None,
        "A FunctionLaw needs inputs=: sampled_inputs(points) or gauss_hermite_inputs(dim, nodes).",
    )
    return inputs.weights


def joint_points(inputs: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Rows (x_i, y_i) of shape (n, d + 1), for the sample estimators."""
    inputs, labels = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    require(
        inputs.ndim == 2 and labels.shape == inputs.shape[:1],
        f"shapes {inputs.shape}, {labels.shape}: need (n, d), (n,).",
    )
    return np.concatenate([inputs, labels[:, None]], axis=1)


def check_samples(source: np.ndarray, target: np.ndarray, minimum: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two finite (n, width) arrays of one width."""
    arrays = []
    for name, value in (("source", source), ("target", target)):
        array = np.asarray(value, dtype=float)
        require(array.ndim == 2, f"{name} has shape {array.shape}: rows of points (n, width) are needed.")
        require(array.shape[0] >= minimum, f"{name} has {array.shape[0]} rows: at least {minimum} are needed.")
        bad = np.argwhere(~np.isfinite(array))
        require(
            len(bad) == 0,
            f"{name} is not finite at row {bad[0][0] if len(bad) else ''}, column {bad[0][1] if len(bad) else ''}.",
        )
        arrays.append(array)
    widths = (arrays[0].shape[1], arrays[1].shape[1])
    require(widths[0] == widths[1], f"source has width {widths[0]} and target {widths[1]}: they must agree.")
    return arrays[0], arrays[1]
