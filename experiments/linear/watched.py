"""Fine-tuning in several ways, watched on the part of the weights that the data do not see."""

from typing import Any, ClassVar

import jax
import numpy as np

from experiments.linear import setting as _linear
from experiments.linear.study import LinearStudy
from experiments.running import grid as _grid
from experiments.running.study import Place, Progress
from tlx.linear import unseen


class WatchedStudy(LinearStudy):
    """A study whose units are the ways of fine-tuning along one axis x sample ratios.

    Attributes:
        way: the name of that axis.
    """

    way: ClassVar[str]

    def variant(self, config: Any, way: Any) -> Any:
        """The configuration that fine-tunes in this way."""
        raise NotImplementedError

    def places(self, config: Any) -> list[Place]:
        """One unit for every way and sample ratio."""
        axes = self.axes(config)
        ratios = _grid.split(axes, "sample_ratio", [{}])
        return [{self.way: slice(i, i + 1), **place} for i in range(len(axes[self.way])) for place in ratios]

    def watch(self, config: Any, place: Place, progress: Progress) -> unseen.UnseenReport:
        """Fine-tune every pair of one unit: arrays of (theta, instance), with times (theta, instance, time)."""
        own: dict[str, np.ndarray] = _grid.part(self.axes(config), place)
        return unseen.watch_lanes(
            config.engine.value,
            self.setting(self.variant(config, own[self.way][0].item())),
            jax.random.key(config.seed),
            own["instance"][None, :],
            _linear.sample_counts(own["sample_ratio"], config.task.dim)[0],
            own["theta"][:, None],
            layout=_grid.layout(config.ensemble, len(own["instance"]) * len(own["theta"])),
            progress=lambda done, total: progress(done),
        )
