"""Chi-squared divergence between two tasks' joint laws."""

from jaxtyping import Array, Float

from tlx.discrepancy.laws import InputNodes, Law, check_laws
from tlx.discrepancy.renyi import power_mean


def chi_squared(*, source: Law, target: Law, inputs: InputNodes | None = None) -> Float[Array, ""]:
    """chi²(p_source || p_target) = E_target[(p_source/p_target)²] - 1.

    Equal noise: E exp(t²/sigma²) - 1, t = f_source(x) - f_target(x); two linear laws: (1 - 2 s²/sigma²)^{-1/2} - 1 with
    s = |beta_s - beta_t|. In general v = 2 sigma_t² - sigma_s² takes the place of sigma² (see `renyi` at order 2).

    Args:
        source: noise_std > 0.
        target: noise_std > 0, the law in the denominator.
        inputs: nodes for E over x, unless both laws are linear.

    Returns:
        Exact for two linear laws: infinite from 2 s² >= v on, that is for most pairs one would meet. With drawn inputs
        unbiased but of such heavy tail (no variance from 4 s² >= sigma² on) that the number is of little use there.
    """
    check_laws(source, target, noisy=True)
    return power_mean(2.0, source, target, inputs) - 1.0
