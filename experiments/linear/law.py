"""The law of linear transfer's risk on isotropic inputs is known: a test of its cells that is exact at any size."""

import numpy as np
import xarray as xr
from scipy import special

from tlx.linear.setting import LinearSetting
from tlx.train import Status

NEAR = 1e-3  # of the learned feature from the source: beyond it pretraining has not ended where theory begins


def deviates(setting: LinearSetting, data: xr.Dataset) -> np.ndarray:
    """Normal deviates of the cells of linear transfer without ridge; NaN where the law is another.

    (R - rho) n/(rho + sigma^2) is F-distributed with 1 and n degrees of freedom, for the fitted coefficient is
    <X b, r>/|X b|^2 with residuals r ~ N(0, rho + sigma^2) independent of X b. Each instance's value is turned into
    the chi-squared value (1 degree of freedom) of the same probability, and the sum over the m instances is compared
    with chi-squared at m degrees of freedom: exact for every m and n.

    Args:
        setting: of the study. The law holds for isotropic inputs, one learned feature, and a population source.
        data: holds risk, status, pretrained_norm, pretrained_overlap, num_features and num_samples.

    Returns:
        (theta, sample_ratio); NaN also where an instance did not converge or pretraining left another direction.

    Source: derived here from the fit behind Theorem 3.7.
    """
    if not setting.isotropic or setting.source_samples is not None or float(data.ridge[0]) != 0:
        return np.full((data.sizes["theta"], data.sizes["sample_ratio"]), np.nan)
    cell = ("theta", "sample_ratio", "instance")
    own = data.sel(protocol="linear_transfer")
    cosine = data.pretrained_overlap / data.pretrained_norm
    rho = setting.target_norm**2 - cosine**2
    away = abs(cosine - setting.target_norm * np.cos(data.theta)) / setting.target_norm
    sound = (own.status == Status.CONVERGED) & (data.num_features == 1) & (away < NEAR)
    value = ((own.risk - rho) * data.num_samples / (rho + setting.noise_std**2)).transpose(*cell).values
    counts = data.num_samples.values[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        each = special.chdtri(1, special.fdtrc(1, counts, np.maximum(value, 0.0)))
    total, instances = each.sum(-1), each.shape[-1]
    upper = -special.ndtri(np.maximum(special.chdtrc(instances, total), 1e-300))
    lower = special.ndtri(np.maximum(special.chdtr(instances, total), 1e-300))
    known = sound.transpose(*cell).values.all(-1) & np.isfinite(total)
    return np.where(known, np.where(total > instances, upper, lower), np.nan)
