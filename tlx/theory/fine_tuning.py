"""Fine-tuning every layer from the pretrained weights: the published form and the exact gradient-flow endpoint."""

import jax
import jax.numpy as jnp
import numpy as np

from tlx.theory import _arrays
from tlx.theory._arrays import Array, Numbers, Result
from tlx.theory._fixed_point import norm_root
from tlx.theory._fluctuations import mean_gain
from tlx.theory.finite_source import kept, squared_norm


def fine_tuning_risk(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    published: bool = False,
    trained_layers: Numbers | None = None,
    dim: Numbers | None = None,
) -> Result:
    """Mean excess risk of fine-tuning a pretrained deep linear network by gradient flow on n = g d samples.

    beta_ft = beta_sc + c (I - P) beta_pre, R = (1 - g)(r^2 - 2 c m + c^2 q^2) + sigma^2 g/(1 - g), with
    c = (|beta_ft|/q)^{(L-1)/L}, |beta_ft|^2 = r^2 g + sigma^2 g/(1 - g) + c^2 (1 - g) q^2, q = |beta_pre|,
    m = <beta_t, beta_pre>. The published form sets c = 1.

    Args:
        overlap_angle: theta in [0, pi], radians, between source and target task.
        sample_ratio: g = n/d > 0, target samples per input dimension.
        noise_std: sigma >= 0, label noise of the target set.
        depth: L >= 1, number of layers (any real number).
        target_norm: r = |beta_t|.
        source_norm: rho = |beta_s| of the source task; q and m follow from it and the source set.
        source_ratio: g_s = n_s/d > 0, inf for a population.
        source_noise_std: sigma_s >= 0.
        published: True for the form of Theorem 3.9 (and C.1), which is not the endpoint of gradient flow.
        trained_layers: j in [1, L], how many layers train, the first one among them; None for all. Then c has
            exponent (j - 1)/j whatever L, so j = 1 is the published form, and so is a low-rank update of the first
            layer that starts small (LoRA of any rank), which adds X^+ (y - X beta_pre). With the first layer frozen
            the features are: training one other layer is `linear_transfer_risk`; training several is it only where
            the fitted coefficient is positive, for a product of layers that starts positive cannot turn its sign.
        dim: d >= 2, for the mean at finite dimension: the sizes of both noises are integrated, spans and directions
            enter by exact moments to second order in the fluctuations of c.

    Returns:
        E|beta_hat - beta_t|^2, the arguments broadcast. Equal to `scratch_risk` for g > 1 and at L = 1 to the
        published form; infinite at g = 1 with noise and, below g = 1, at g_s = 1 with source noise.

    Valid for a balanced start (the small-weight limit of pretraining) and gradient flow; c = 1 if L = 1, or if
    sigma = 0 with r = q. Source: Theorem 3.9 for the decomposition, conservation of balance for c (a public
    annotated reading of the paper, msrepo/theory_inclined_papers_with_annotations, finds c too: 1.225 at sigma = 1,
    g = 1/2). Neighbours: Anguita et al., arXiv 2602.20062 (diagonal networks); Lauditi et al., 2507.04448 (infinite
    width); Duranthon et al., 2606.05899 (LoRA); Ingrosso et al., PRL 134, 177301.
    """
    saved = fine_tuning_gain(
        overlap_angle, sample_ratio, noise_std, depth=depth, target_norm=target_norm, source_norm=source_norm,
        source_ratio=source_ratio, source_noise_std=source_noise_std, published=published,
        trained_layers=trained_layers, dim=dim,
    )  # fmt: skip
    ratio, noise, norm, saved, *rest = _arrays.common(
        sample_ratio, noise_std, target_norm, saved, *([] if dim is None else [dim])
    )
    scratch = norm**2 * jnp.where(ratio < 1, 1 - ratio, 0.0)
    return scratch - saved + _arrays.times(noise**2, _arrays.gain(ratio, *rest or [None]))


def fine_tuning_gain(
    overlap_angle: Numbers,
    sample_ratio: Numbers,
    noise_std: Numbers,
    *,
    depth: Numbers = 2,
    target_norm: Numbers = 1.0,
    source_norm: Numbers = 1.0,
    source_ratio: Numbers = np.inf,
    source_noise_std: Numbers = 0.0,
    published: bool = False,
    trained_layers: Numbers | None = None,
    dim: Numbers | None = None,
) -> Result:
    """Transferability of fine-tuning, T = (1 - g)(2 c m - c^2 q^2), finite also where both risks are infinite.

    Args:
        overlap_angle: theta in [0, pi], radians.
        sample_ratio: g > 0.
        noise_std: sigma >= 0.
        depth: L >= 1.
        target_norm: r.
        source_norm: rho.
        source_ratio: g_s.
        source_noise_std: sigma_s.
        published: c = 1.
        trained_layers: j, as in `fine_tuning_risk`.
        dim: d, as in `fine_tuning_risk`.

    Returns:
        E[R_sc - R_ft]; 0 for g >= 1 (the limit from below is 0 too), -inf at g_s = 1 with source noise and g < 1.

    Source: Theorems 3.9 and C.1 with `published`, else the exact endpoint.
    """
    _arrays.check_pair(overlap_angle, noise_std, target_norm, source_norm)
    _arrays.check_ratio("sample_ratio", sample_ratio)
    _arrays.check_source(source_ratio, source_noise_std)
    depth = _arrays.trained_depth(depth, trained_layers)
    _arrays.check_dim(dim, 2)
    noisy_source = _arrays.is_noisy(source_ratio, source_noise_std)
    angle, ratio, noise, depth, norm, source_norm, source_ratio, source_noise, *rest = _arrays.common(
        overlap_angle, sample_ratio, noise_std, depth, target_norm, source_norm, source_ratio, source_noise_std,
        *([] if dim is None else [dim]),
    )  # fmt: skip
    overlap = norm * source_norm * kept(source_ratio) * jnp.cos(angle)
    square = squared_norm(source_ratio, source_noise, source_norm, *rest or [None])
    exponent = 0 * depth if published else 1 - 1 / depth
    below, _ = _arrays.one_sided(ratio)
    live = (ratio < 1) & (square > 0)
    finite = jnp.isfinite(square)
    safe = _arrays.guarded(live & finite, square)
    size = norm**2 * below + _arrays.times(noise**2, _arrays.noise_gain(below))
    if dim is None:
        scale = null_space_scale(size, below, safe, exponent)
        saved = (1 - below) * (2 * scale * overlap - scale**2 * safe)
    else:
        saved = mean_gain(
            below, noise, norm, source_norm, jnp.cos(angle), source_ratio, source_noise, exponent, rest[0],
            noisy_source=noisy_source,
        )  # fmt: skip
    return jnp.where(live, jnp.where(finite, saved, -jnp.inf), 0.0)


@jax.jit
def null_space_scale(size: Array, ratio: Array, square: Array, exponent: Array) -> Array:
    """The factor c on the part of the pretrained vector that the data do not see.

    c = w^{a/2}, w = |beta_ft|^2/q^2 the root of w = b/q^2 + (1 - g) w^a, a = (L - 1)/L.

    Args:
        size: b = |beta_sc|^2.
        ratio: g < 1.
        square: q^2 > 0.
        exponent: a.
    """
    root = norm_root(size / square, 1 - ratio, exponent)
    live = root > 0
    return jnp.where(live, _arrays.guarded(live, root) ** (exponent / 2), jnp.where(exponent > 0, 0.0, 1.0))
