"""What comes back from one nonlinear source/target pair and from one target data set."""

from typing import NamedTuple

from jaxtyping import Array, Float, Int


class PretrainReport(NamedTuple):
    """What pretraining made.

    Attributes:
        source_loss: E (f - f_s)^2 / E f_s^2.
        status, num_steps: of the run.
        out_of_space: E f_t^2 - |P f_t|^2 at the cut-off (the floor of linear transfer).
        out_of_span: the same at cut-off 1e-6, the numerical span: untrained features included.
        ridge_floor: risk of ridge transfer on infinite data.
        num_features: eigenfeatures above the cut-off.
        leverage: E[(f_t - P f_t)^2 |psi|^2] with psi the whitened kept features (its mean square is num_features):
            the variance of linear transfer is (leverage + noise_std^2 num_features)/n to leading order.
    """

    source_loss: Float[Array, ""]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]
    out_of_space: Float[Array, ""]
    out_of_span: Float[Array, ""]
    ridge_floor: Float[Array, ""]
    num_features: Int[Array, ""]
    leverage: Float[Array, ""]


class TransferReport(NamedTuple):
    """Excess population risks at one sample size; a failed lane has risk NaN and a status that says why."""

    linear_transfer_risk: Float[Array, ""]
    ridge_transfer_risk: Float[Array, ""]
    fine_tuning_risk: Float[Array, ""]
    lp_ft_risk: Float[Array, ""]
    fine_tuning_status: Int[Array, ""]
    lp_ft_status: Int[Array, ""]


class ScratchReport(NamedTuple):
    """Training from a fresh start on one target sample."""

    risk: Float[Array, ""]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]
