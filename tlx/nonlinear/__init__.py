"""Transfer protocols for one nonlinear source/target pair, trained networks of any depth and activation."""

from .models import MeanField as MeanField
from .models import Model as Model
from .models import MultiLayer as MultiLayer
from .protocols import Prepared as Prepared
from .protocols import PretrainReport as PretrainReport
from .protocols import ScratchReport as ScratchReport
from .protocols import TransferReport as TransferReport
from .protocols import from_scratch as from_scratch
from .protocols import pair_of as pair_of
from .protocols import prepare as prepare
from .protocols import pretrain as pretrain
from .protocols import transfer as transfer
from .setting import METHODS as METHODS
from .setting import PRETRAINING as PRETRAINING
from .setting import PROTOCOLS as PROTOCOLS
from .setting import NonlinearSetting as NonlinearSetting
