"""Deep linear source/target pairs: setting, data, the engines that carry a protocol out, and what they report."""

from tlx.linear import chain as chain
from tlx.linear import data as data
from tlx.linear import engines as engines
from tlx.linear import flow_end as flow_end
from tlx.linear import flow_path as flow_path
from tlx.linear import lanes as lanes
from tlx.linear import matrix_task as matrix_task
from tlx.linear import outputs as outputs
from tlx.linear import pairs as pairs
from tlx.linear import probe as probe
from tlx.linear import reports as reports
from tlx.linear import setting as setting
from tlx.linear import task as task
from tlx.linear import unseen as unseen
