"""What comes back from one linear target data set and from one source/target pair."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tlx.train import TrainResult, usable


class ScratchReport(NamedTuple):
    """Training from scratch on one target data set, one entry per weight decay (k,). Failed lanes: risk NaN.

    stable_learning_rate: a step size below which gradient descent on this data set does not diverge, see
    `stable_learning_rate`.
    risk_over_time: at the times of the setting.
    """

    risk: Float[Array, " k"]
    status: Int[Array, " k"]
    num_steps: Int[Array, " k"]
    stable_learning_rate: Float[Array, ""]
    risk_over_time: Float[Array, "k t"]


class PenalisedReport(NamedTuple):
    """One penalised protocol on one source/target pair, one entry per penalty (p,). Failed lanes: risk NaN."""

    risk: Float[Array, " p"]
    status: Int[Array, " p"]
    num_steps: Int[Array, " p"]


class TransferReport(NamedTuple):
    """One source/target pair. Risks are excess population risks; a failed lane has risk NaN and says why.

    Attributes:
        linear_transfer_risk: one entry per ridge, shape (r,).
        fine_tuning_risk: scalar.
        source_risk: excess risk of the pretrained network on its own task.
        num_features: learned directions that linear transfer used, at the setting's cut-off.
        linear_transfer_status: that of pretraining (the probe itself is solved exactly).
        fine_tuning_status, fine_tuning_steps, pretrain_steps: of the training runs.
        linear_transfer_over_time: risk at the times of the setting while the last layer alone is trained from zero, at
            the first ridge, by the rule of fine-tuning.
        fine_tuning_over_time: risk at the times of the setting.
        pretrained_norm, pretrained_overlap: |beta_pre| and <beta_t, beta_pre>, what theory asks of a source.
        penalised: a `PenalisedReport` for each penalised protocol of the setting, by name.
    """

    linear_transfer_risk: Float[Array, " r"]
    fine_tuning_risk: Float[Array, ""]
    source_risk: Float[Array, ""]
    num_features: Int[Array, ""]
    linear_transfer_status: Int[Array, ""]
    fine_tuning_status: Int[Array, ""]
    fine_tuning_steps: Int[Array, ""]
    pretrain_steps: Int[Array, ""]
    linear_transfer_over_time: Float[Array, " t"]
    fine_tuning_over_time: Float[Array, " t"]
    pretrained_norm: Float[Array, ""]
    pretrained_overlap: Float[Array, ""]
    penalised: dict[str, PenalisedReport]


def over_time(result: TrainResult) -> Float[Array, " t"]:
    """The recorded risks of a run; NaN if it failed, empty if nothing was recorded."""
    if result.curve is None:
        return jnp.zeros(0, result.loss.dtype)
    return jnp.where(usable(result.status), result.curve, jnp.nan)
