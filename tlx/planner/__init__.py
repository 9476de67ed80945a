"""Advice before a training run, from a small labelled target sample and what was pretrained."""

from tlx.planner.answer import HeldOut as HeldOut
from tlx.planner.answer import Plan as Plan
from tlx.planner.answer import RiskCurve as RiskCurve
from tlx.planner.assumptions import Check as Check
from tlx.planner.estimates import Estimate as Estimate
from tlx.planner.network import plan_network as plan_network
from tlx.planner.network_answer import Curve as Curve
from tlx.planner.network_answer import NetworkPlan as NetworkPlan
from tlx.planner.plan import plan as plan
from tlx.planner.predictions import RankingChange as RankingChange
from tlx.planner.representations import FeatureComparison as FeatureComparison
from tlx.planner.representations import compare_features as compare_features
