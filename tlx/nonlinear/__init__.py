"""Transfer protocols for one nonlinear source/target pair: networks of any kind, teachers or tasks of one's own."""

from .flax_model import FlaxModel as FlaxModel
from .lanes import pretraining_lanes as pretraining_lanes
from .lanes import scratch_lanes as scratch_lanes
from .lanes import transfer_grid as transfer_grid
from .models import ExactModel as ExactModel
from .models import MeanField as MeanField
from .models import Model as Model
from .models import MultiLayer as MultiLayer
from .protocols import Prepared as Prepared
from .protocols import from_scratch as from_scratch
from .protocols import pair_of as pair_of
from .protocols import prepare as prepare
from .protocols import pretrain as pretrain
from .protocols import transfer as transfer
from .reports import PretrainReport as PretrainReport
from .reports import ScratchReport as ScratchReport
from .reports import TransferReport as TransferReport
from .setting import PRETRAINING as PRETRAINING
from .setting import PROTOCOLS as PROTOCOLS
from .setting import NonlinearSetting as NonlinearSetting
from .task import CustomTask as CustomTask
from .task import Pair as Pair
from .task import Task as Task
from .task import TeacherTask as TeacherTask
