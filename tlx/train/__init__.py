"""One training run: a pure function of a loss, a start and an optimizer, ending in a status."""

from tlx.train.full_batch import train as train
from tlx.train.online import train_online as train_online
from tlx.train.optimizer import Optimizer as Optimizer
from tlx.train.result import DIVERGENCE_FACTOR as DIVERGENCE_FACTOR
from tlx.train.result import Status as Status
from tlx.train.result import TrainResult as TrainResult
from tlx.train.result import usable as usable
