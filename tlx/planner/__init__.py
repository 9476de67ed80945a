"""Advice before a training run, from a small labelled target sample and what was pretrained."""

from tlx.planner.estimates import Estimate as Estimate
from tlx.planner.plan import Plan as Plan
from tlx.planner.plan import RiskCurve as RiskCurve
from tlx.planner.plan import plan as plan
from tlx.planner.predictions import RankingChange as RankingChange
