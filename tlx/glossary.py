"""Words and symbols: the names that code, result files and figures share, and what docstrings call them.

Words in signatures, and the symbols that docstrings use for them:

    dim                 d           input dimension; x ~ N(0, I_d) unless a covariance is given
    num_samples         n           rows of the target sample
    sample_ratio        g = n/d
    overlap_angle       theta       cos(theta) = beta_s . beta_t / (|beta_s| |beta_t|), radians in [0, pi]
    target_norm         r           |beta_t|, norm of the target task
    source_norm         rho         |beta_s|, norm of the source task
    (pretrained)        q, m        |beta_pre| and <beta_t, beta_pre> of the pretrained predictor
    noise_std           sigma       label noise, y = f(x) + sigma eps; no risk contains it
    source_ratio        g_s = n_s/d rows of the source sample per dimension; inf (null) is the population loss
    source_noise_std    sigma_s     label noise of the source sample
    depth               L           weight layers: f(x) = x^T W_1 ... W_L
    init_scale          alpha       size of the initial weights; alpha -> 0 learns features
    ridge               lambda      penalty of the last layer: (1/n)|F c - y|^2 + lambda |c|^2
    weight_decay        wd          of SGD, added to the gradient as wd * weights
    width               m           neurons of a hidden layer
    (effective ridge)   kappa       the ridge that weight decay amounts to, (wd/2)|beta|^{2/L - 2}
    cutoff                          eigenfeatures below it, relative to the largest, count as never learned
    risk                R           E (f_hat(x) - f_target(x))^2, population, in units of label^2
    transferability     T           R(scratch) - R(transfer); T < 0 is negative transfer
    protocol                        what is done with the target sample, see `Protocol`
    lane                            one training run of an ensemble; a unit is a file of lanes on disk
"""

import enum


class Protocol(enum.StrEnum):
    """What is done with the target sample. A member is its name: it may be passed wherever the string may."""

    SCRATCH = "scratch"  # every weight trained from a fresh start; the source is not used
    LINEAR_TRANSFER = "linear_transfer"  # the last layer refitted on the learned features, which stay as they are
    RIDGE_TRANSFER = "ridge_transfer"  # the last layer refitted with a ridge on all features, learned or not
    FINE_TUNING = "fine_tuning"  # every weight trained on from where pretraining ended
    LP_FT = "lp_ft"  # linear transfer first, then fine-tuning from there
    L2SP = "l2sp"  # fine-tuning with a penalty on the distance from the pretrained predictor
    LAYERWISE_L2SP = "layerwise_l2sp"  # fine-tuning with a penalty on the distance from the pretrained weights
    SOURCE_RIDGE = "source_ridge"  # ridge regression that leaves the direction of the source unpenalised
    LORA = "lora"  # fine-tuning of an update of low rank, the pretrained weights staying as they are

    @property
    def words(self) -> str:
        """The name as text has it: "linear transfer"."""
        return self.value.replace("_", " ")
