"""Closed forms: scratch, linear transfer and fine-tuning in deep linear networks, and where transfer turns negative.

    pretraining.py      growth of the end-to-end norm in pretraining (Theorem 3.4 and its dynamics)
    scratch.py          training from scratch, in the limit and at finite d (Theorems 3.5, 3.6)
    linear_transfer.py  refitting the last layer on the learned feature, ridge and its optimum (Theorems 3.7, 3.8)
    feature_transfer.py the same on k features
    fine_tuning.py      all layers from the pretrained weights: exact, and as published (Theorem 3.9)
    finite_source.py    what a finite, noisy source sample leaves of the source vector (Theorem C.1)
    ridge.py            ridge regression and its optimum (Figure 5)
    weight_decay.py     the ridge that weight decay amounts to, layer by layer
    l2sp.py             a ridge towards the pretrained vector, its optimum, and tuned against tuned
    layerwise_l2sp.py   the same pull on every layer, in a deep linear network
    source_ridge.py     a ridge on the directions orthogonal to the source
    multi_output.py     several outputs: matrix teachers with principal angles
    covariance.py       the same for inputs of any covariance: exact forms and deterministic equivalents
    phase.py            risk and transferability by method, and their signs
    boundary.py         where the sign changes: negative-transfer boundaries, break-even angle
    training/           the risk at any time of training, after any number of steps or mini-batches, and where to stop

Every function broadcasts over arrays and works under jit, vmap and grad. Arguments are named in `help(tlx)`.
"""

from tlx.theory.boundary import break_even_angle as break_even_angle
from tlx.theory.boundary import negative_transfer_boundary as negative_transfer_boundary
from tlx.theory.covariance import covariance_fine_tuning_risk as covariance_fine_tuning_risk
from tlx.theory.covariance import covariance_linear_transfer_risk as covariance_linear_transfer_risk
from tlx.theory.covariance import covariance_scratch_risk as covariance_scratch_risk
from tlx.theory.covariance import implicit_ridge as implicit_ridge
from tlx.theory.feature_transfer import feature_transfer_risk as feature_transfer_risk
from tlx.theory.fine_tuning import fine_tuning_gain as fine_tuning_gain
from tlx.theory.fine_tuning import fine_tuning_risk as fine_tuning_risk
from tlx.theory.finite_source import pretrained_angle as pretrained_angle
from tlx.theory.finite_source import pretrained_norm as pretrained_norm
from tlx.theory.l2sp import l2sp_risk as l2sp_risk
from tlx.theory.l2sp import optimal_l2sp_penalty as optimal_l2sp_penalty
from tlx.theory.l2sp import optimal_l2sp_risk as optimal_l2sp_risk
from tlx.theory.l2sp import tuned_break_even_angle as tuned_break_even_angle
from tlx.theory.layerwise_l2sp import layerwise_l2sp_risk as layerwise_l2sp_risk
from tlx.theory.layerwise_l2sp import optimal_layerwise_l2sp_risk as optimal_layerwise_l2sp_risk
from tlx.theory.linear_transfer import linear_transfer_risk as linear_transfer_risk
from tlx.theory.linear_transfer import optimal_linear_transfer_ridge as optimal_linear_transfer_ridge
from tlx.theory.linear_transfer import optimal_linear_transfer_risk as optimal_linear_transfer_risk
from tlx.theory.multi_output import multi_output_fine_tuning_risk as multi_output_fine_tuning_risk
from tlx.theory.multi_output import multi_output_linear_transfer_risk as multi_output_linear_transfer_risk
from tlx.theory.multi_output import multi_output_scratch_risk as multi_output_scratch_risk
from tlx.theory.phase import method_risk as method_risk
from tlx.theory.phase import transfer_sign as transfer_sign
from tlx.theory.phase import transferability as transferability
from tlx.theory.pretraining import effective_start_norm as effective_start_norm
from tlx.theory.pretraining import pretraining_norm as pretraining_norm
from tlx.theory.pretraining import pretraining_path as pretraining_path
from tlx.theory.pretraining import pretraining_time as pretraining_time
from tlx.theory.ridge import optimal_ridge as optimal_ridge
from tlx.theory.ridge import optimal_ridge_risk as optimal_ridge_risk
from tlx.theory.ridge import ridge_risk as ridge_risk
from tlx.theory.scratch import scratch_risk as scratch_risk
from tlx.theory.source_ridge import optimal_source_ridge_penalty as optimal_source_ridge_penalty
from tlx.theory.source_ridge import optimal_source_ridge_risk as optimal_source_ridge_risk
from tlx.theory.source_ridge import source_ridge_risk as source_ridge_risk
from tlx.theory.training import balance_over_time as balance_over_time
from tlx.theory.training import best_stopping as best_stopping
from tlx.theory.training import covariance_risk_over_time as covariance_risk_over_time
from tlx.theory.training import risk_after_steps as risk_after_steps
from tlx.theory.training import risk_over_time as risk_over_time
from tlx.theory.training import stopped_break_even_angle as stopped_break_even_angle
from tlx.theory.training import stopped_transferability as stopped_transferability
from tlx.theory.weight_decay import ridge_of_norm as ridge_of_norm
from tlx.theory.weight_decay import weight_decay_ridge as weight_decay_ridge
from tlx.theory.weight_decay import weight_decay_risk as weight_decay_risk
