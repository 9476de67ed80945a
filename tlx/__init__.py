"""Transfer learning in JAX: closed forms, and batched training of source/target pairs.

Where to look: `tlx.theory` (closed forms, one theorem a file); `tlx.linear` (one deep linear pair: setting, data, and
engines: in full, in the data's eigenbasis, or at the end of gradient flow); `tlx.nonlinear` (the same for two-layer
and deeper networks), `tlx.kernels`; `tlx.ensemble` (any one-pair function over thousands of lanes and all devices);
`tlx.discrepancy`, `tlx.feature_scores`, `tlx.planner` (what can be said before training). Theory and simulation never
import each other.

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
    lane                            one training run of an ensemble; a unit is a file of lanes on disk
"""

from importlib.metadata import version as _version

from tlx import discrepancy as discrepancy
from tlx import ensemble as ensemble
from tlx import feature_scores as feature_scores
from tlx import kernels as kernels
from tlx import linalg as linalg
from tlx import linear as linear
from tlx import networks as networks
from tlx import nonlinear as nonlinear
from tlx import online as online
from tlx import planner as planner
from tlx import stats as stats
from tlx import theory as theory
from tlx import train as train

__version__ = _version("tlx")
