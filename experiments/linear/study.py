"""What the studies of deep linear networks share: their units, and what is said of runs that did not converge."""

from typing import ClassVar

import numpy as np
import xarray as xr

from experiments.linear import setting as _linear
from experiments.linear.config import Engine, LinearStudyConfig
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.study import Place, Study, Verdict
from tlx.linear.engines import engine
from tlx.linear.setting import LinearSetting
from tlx.train import Status


class LinearStudy(Study):
    """A study of deep linear networks whose units are sample ratios x blocks of instances."""

    instances_per_unit: ClassVar[dict[Engine, int]] = {Engine.full: 4, Engine.spectral: 32, Engine.flow: 32}

    def setting(self, config: LinearStudyConfig) -> LinearSetting:
        """The frozen settings, refused where the engine cannot do them."""
        setting = _linear.setting(config)
        engine(config.engine.value).check(setting)
        return setting

    def places(self, config: LinearStudyConfig) -> list[Place]:
        """One unit for every sample ratio and block of instances, small samples first."""
        blocks = _grid.instance_blocks(config.ensemble, self.instances_per_unit[config.engine])
        return _grid.split(self.axes(config), "sample_ratio", blocks)

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors from the exact forms; scratch is one number for all angles, and counted once."""
        return _estimates.verdicts(data, blind={"scratch": "theta"}, compared="theory_at_steps" in data)


def notes(data: xr.Dataset, protocols: dict[str, np.ndarray] | None = None) -> list[str]:
    """What a reader must know about runs that did not converge, from the status codes of each protocol."""
    if protocols is None:
        protocols = {str(name): data.status.sel(protocol=name).values for name in data.protocol.values}
    lines = []
    for protocol, codes in protocols.items():
        short = float(np.mean(codes == Status.MAX_STEPS))
        if short:
            known = "theory_at_steps" in data and protocol in data.protocol.values
            known = known and _known_at_steps(data.sel(protocol=protocol))
            lines.append(
                f"{protocol}: {100 * short:.1f} % of the runs used all their steps before the tolerance; "
                + (
                    "they are compared with the theory of the steps they took."
                    if known
                    else "their cells are left out of the table. Raise optimizer.num_steps to include them."
                )
            )
        failed = np.isin(codes, (Status.DIVERGED, Status.NON_FINITE))
        if failed.any():
            stable = np.broadcast_to(data.stable_learning_rate.values, failed.shape)[failed].min()
            lines.append(
                f"{protocol}: {int(failed.sum())} runs diverged and are in no mean. For this data a step size below "
                f"{stable:.3g} is stable; set optimizer.learning_rate to it or less."
            )
    return lines


def _known_at_steps(data: xr.Dataset) -> bool:
    """Whether cells of one protocol whose steps ran out have a theory to be compared with."""
    late = (data.status == Status.MAX_STEPS).any("instance")
    return bool((np.isfinite(data.theory_at_steps) & late).any())
