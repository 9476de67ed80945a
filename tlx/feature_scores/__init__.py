"""Scores of pretrained features on a labelled target sample, before any training: LogME, H-score, probe error."""

from tlx.feature_scores.h_score import h_score as h_score
from tlx.feature_scores.linear_mse import linear_mse as linear_mse
from tlx.feature_scores.log_me import Evidence as Evidence
from tlx.feature_scores.log_me import log_me as log_me
from tlx.feature_scores.log_me import maximum_evidence as maximum_evidence
