"""Scores of pretrained features before any training: LogME, H-score, probe error; NCE, LEEP, TransRate for classes."""

from tlx.feature_scores.classes import leep as leep
from tlx.feature_scores.classes import nce as nce
from tlx.feature_scores.classes import trans_rate as trans_rate
from tlx.feature_scores.h_score import h_score as h_score
from tlx.feature_scores.linear_mse import linear_mse as linear_mse
from tlx.feature_scores.log_me import Evidence as Evidence
from tlx.feature_scores.log_me import log_me as log_me
from tlx.feature_scores.log_me import maximum_evidence as maximum_evidence
