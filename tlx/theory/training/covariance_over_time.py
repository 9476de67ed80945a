"""Risk along training for inputs of any covariance, by a contour around the eigenvalues of the sample covariance."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tlx import _checks
from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory.covariance import implicit_ridge
from tlx.theory.training import _contour, _curve
from tlx.theory.training._contour import Vectors
from tlx.theory.training._setting import check_times, over_lanes

PROTOCOLS = ("scratch", "fine_tuning")
Vector = Float[Array | np.ndarray, "dim"]


class _Lane(NamedTuple):
    noise: Array
    count: Array
    depth: Array
    init_scale: Array


def covariance_risk_over_time(
    protocol: str,
    times: Numbers,
    spectrum: Vector,
    target: Vector,
    source: Vector,
    noise_std: Numbers,
    num_samples: Numbers,
    *,
    depth: Numbers = 2,
    init_scale: Numbers = 1e-5,
    overlap_angle: float | None = None,
) -> Result:
    """Mean excess risk (beta - beta_t)^T S (beta - beta_t) along gradient flow, for inputs of covariance S = diag(s).

    The equations of `risk_over_time` at complex nodes: p^T f(A) q = sum_k w_k f(z_k) T_k sum_i p_i q_i/(s_i + kappa_k),
    kappa (1 - (1/n) sum_i s_i/(s_i + kappa)) = -z, T = kappa/z; the risk by pairs of nodes.

    Args:
        protocol: "scratch" or "fine_tuning" (linear transfer has the closed form of `covariance_linear_transfer_risk`).
        times: finite t >= 0, ascending on the last axis.
        spectrum: s (d,), eigenvalues of the input covariance, > 0.
        target: beta_t (d,) in the eigenbasis; with `overlap_angle` its length alone matters.
        source: beta_pre (d,), the pretrained vector in the eigenbasis, not zero for fine-tuning; likewise.
        noise_std: sigma >= 0.
        num_samples: n > 0.
        depth: L >= 1.
        init_scale: layer norm of a start from scratch along X^T y.
        overlap_angle: theta in [0, pi]: average over all rotations of two vectors of the given lengths at this angle,
            instead of the vectors themselves.

    Returns:
        The risk: the last arguments broadcast with the leading axes of `times`, then the axis of times. Errors of the
        equivalents are O(1/n) and O(1/d). The contour's own error grows in proportion to the last time: about 1e-5 of
        the risk at 1e3 in double precision, 1e-4 in single, more at 1e4, where the closed endpoints should be used.

    Source: deterministic equivalents of one and two resolvents, applied to the balanced chain; derived here.
    """
    _check(protocol, spectrum, {"target": target, "source": source}, noise_std, num_samples, depth, init_scale)
    check_times(times, "the contour needs the last time: pass finite times.")
    dtype = jnp.result_type(spectrum, target, source, 0.0)
    spectrum, target, source = (jnp.asarray(vector, dtype) for vector in (spectrum, target, source))
    products = Vectors(source**2, source * target, target**2)
    if overlap_angle is not None:
        _checks.check_angle("overlap_angle", overlap_angle)
        across, along = jnp.sqrt(jnp.sum(source**2)), jnp.sqrt(jnp.sum(target**2))
        energies = across**2, across * along * jnp.cos(overlap_angle), along**2
        products = Vectors(*(jnp.full_like(spectrum, 1) * energy / spectrum.size for energy in energies))
    lane = _arrays.common(noise_std, num_samples, depth, init_scale, jnp.zeros((), dtype))[:4]
    return over_lanes(lambda *numbers: _compiled(protocol, spectrum, products, *numbers), times, *lane)


def _check(protocol, spectrum, vectors, noise_std, num_samples, depth, init_scale) -> None:
    _checks.check_choice("protocol", protocol, PROTOCOLS)
    _checks.check_positive("spectrum", spectrum, "Pass positive eigenvalues; drop directions that inputs never take.")
    for name, vector in vectors.items():
        shape, wanted = jnp.shape(vector), jnp.shape(spectrum)
        _checks.require(shape == wanted, f"{name} has shape {shape}, spectrum {wanted}: pass one entry an eigenvalue.")
    _checks.check_nonnegative("noise_std", noise_std)
    _checks.check_positive("num_samples", num_samples, remedy="Pass at least one target sample.")
    _checks.check_range("depth", depth, 1.0, remedy="Pass at least one layer.")
    _checks.check_positive("init_scale", init_scale)


@partial(jax.jit, static_argnums=0)
def _compiled(protocol, spectrum, products, times, *lanes) -> Array:
    return jax.lax.map(lambda lane: _one_curve(protocol, spectrum, products, lane[0], _Lane(*lane[1])), (times, lanes))


def _one_curve(protocol: str, spectrum: Array, products: Vectors, times: Array, lane: _Lane) -> Array:
    norm = jnp.sqrt(jnp.sum(products.source))
    scratch = protocol == "scratch"
    top = jnp.maximum(_final_norm(spectrum, products, lane), 0.0 if scratch else norm)
    end = jnp.maximum(2 * jnp.max(times) * top ** (2 - 2 / lane.depth), 1.0)
    ring = _contour.contour(spectrum, lane.count, 0.5 / end)
    first = jnp.zeros_like(norm) if scratch else norm ** (1 / lane.depth - 1)
    vectors = Vectors(products.source * first**2, products.cross * first, products.target)
    modes = _contour.measure(ring, vectors, lane.noise, lane.count)
    if scratch:
        begin = _curve.scratch_start(modes, lane.depth, lane.init_scale)
    else:
        begin = _curve.pretrained_start(modes, lane.depth, norm)
    form = _contour.risk_form(spectrum, ring, vectors, lane.noise, lane.count)

    def observe(*state: Array) -> tuple[Array, Array, Array]:
        return state

    path = _curve.solve(modes, lane.depth, begin, end, observe)
    path = path._replace(values=_contour.risks(form, ring.nodes, *path.values))

    def look(alpha: Array, phi: Array, scale: Array) -> Array:
        return _contour.risks(form, ring.nodes, alpha[None], phi[None], scale[None])[0]

    return _curve.read(path, modes, lane.depth, begin, times, look)


def _final_norm(spectrum: Array, products: Vectors, lane: _Lane) -> Array:
    """About the largest length that beta can reach from small weights: that of the fit, noise included."""
    dim = spectrum.size
    kappa = implicit_ridge(spectrum, jnp.minimum(lane.count, dim - 0.5))
    above = jnp.sum(1 / spectrum) / jnp.maximum(lane.count - dim, 1.0)
    noise = jnp.where(lane.count < dim, 1 / kappa, jnp.minimum(above, 1 / kappa))
    return jnp.sqrt(jnp.sum(products.target) + lane.noise**2 * noise)
