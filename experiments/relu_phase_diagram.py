"""Where does transfer help beyond the linear case? Difficulty x sample size x instance x protocol, nonlinear networks.

python -m experiments.relu_phase_diagram [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.nonlinear import setting as _nonlinear
from experiments.nonlinear import theory as _theory
from experiments.nonlinear.config import NonlinearStudyConfig
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, Verdict
from tlx.nonlinear import (
    PROTOCOLS,
    NonlinearSetting,
    PretrainReport,
    ScratchReport,
    TransferReport,
    scratch_lanes,
    transfer_grid,
)


@dataclass
class ReluGrid:
    """Difficulties (removed fraction or angle; an int: that many even steps) and target sample sizes."""

    amounts: Any = field(default_factory=lambda: [i / 8 for i in range(8)])  # fraction removed, or angle in radians
    sample_sizes: list[int] = field(default_factory=lambda: [20, 40, 80, 160, 320, 640])  # n, parts of one draw


@dataclass
class ReluPhaseDiagramConfig(NonlinearStudyConfig):
    """Difficulty x sample size x instance x protocol, for trained nonlinear networks."""

    grid: ReluGrid = field(default_factory=ReluGrid)
    sign_margin: float = 0.05  # |predicted T| above which the predicted sign is judged, in units of E f_t^2


class ReluPhaseDiagram(Study):
    """Where does transfer help beyond the linear case? Difficulty x sample size x instance x protocol (scratch, linear
    and ridge transfer, fine-tuning, LP-FT) for nonlinear networks, beside floor plus variance.
    """

    Config = ReluPhaseDiagramConfig

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import relu_phase_diagram as relu

        return {"relu_phase_diagram": relu.diagram, "relu_slices": relu.slices, "out_of_space": relu.out_of_space}

    def axes(self, config: ReluPhaseDiagramConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        return {
            "protocol": np.asarray(PROTOCOLS),
            "amount": _nonlinear.amounts(config, config.grid.amounts),
            "num_samples": np.asarray(settings(config).sizes, np.int32),
            "instance": _grid.instances(config.ensemble),
        }

    def places(self, config: ReluPhaseDiagramConfig) -> list[Place]:
        """One unit per block of instances: samples of all sizes are parts of one draw."""
        return _grid.instance_blocks(config.ensemble, 8)

    def lanes(self, config: ReluPhaseDiagramConfig, place: Place) -> int:
        """Training runs in a unit: pretraining per pair, two fine-tunings per pair and size, scratch per sample."""
        own = self.axes(config)
        pairs, sizes = len(own["amount"]), len(own["num_samples"])
        return len(own["instance"][place["instance"]]) * (pairs * (1 + 2 * sizes) + sizes)

    def compute(self, config: ReluPhaseDiagramConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one unit."""
        own = self.axes(config)
        instance, amount = own["instance"][place["instance"]], own["amount"]
        setting, key = settings(config), jax.random.key(config.seed)
        sizes = len(setting.sizes)
        begun, runs = len(instance) * sizes, sizes * 2 + 1
        layout = _grid.layout(config.ensemble, len(instance))
        scratch = scratch_lanes(setting, key, instance, layout=layout, progress=lambda done, _: progress(done * sizes))
        pretrained, moved = transfer_grid(
            setting,
            key,
            instance[:, None],
            amount[None, :],
            layout=_grid.layout(config.ensemble, instance.size * amount.size),
            progress=lambda done, _: progress(begun + done * runs),
        )
        return _arrays(scratch, pretrained, moved)

    def finish(self, config: ReluPhaseDiagramConfig, data: xr.Dataset) -> xr.Dataset:
        """Predictions beside the measurement, standard errors, and what the numbers say."""
        _estimates.add(data)
        for name in ("out_of_span", "ridge_floor"):
            data[f"{name}_mean"] = data[name].mean("instance")
        data = _theory.predictions(config, data)
        data.risk.attrs = {"long_name": "excess population risk E (f - f_t)^2", "units": "E f_t^2"}
        data.source_loss.attrs = {"long_name": "relative population loss of pretraining E (f - f_s)^2 / E f_s^2"}
        data.out_of_space.attrs = {"long_name": f"|P_perp f_t|^2 at cut-off {config.linear_transfer.cutoff:g}"}
        data.amount.attrs = {"long_name": _nonlinear.AMOUNT_NAMES[_nonlinear.family(config)]}
        data.attrs["title"] = _nonlinear.title(config)
        data.attrs["family"] = _nonlinear.family(config)
        data.attrs["cutoff"] = config.linear_transfer.cutoff
        data.attrs["sign_margin"] = config.sign_margin
        data.attrs["notes"] = "\n".join(
            [*_nonlinear.worded(_theory.notes(data)), *_nonlinear.status_notes(self.statuses(data))]
        )
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Linear transfer against floor plus variance, at the largest n and at every n of ten or more per feature."""
        z = data.z.values
        amount, sizes = data.amount.values, data.num_samples.values
        many = sizes[None, :] >= 10 * data.num_features.values.max(1)[:, None]
        counts = int(data.usable_instances.sel(protocol="linear_transfer").min())

        def cell(at: tuple[int, ...]) -> str:
            return f"amount = {amount[at[0]]:.3g}, n = {sizes[at[1]]}"

        def last(at: tuple[int, ...]) -> str:
            return f"amount = {amount[at[0]]:.3g}, n = {sizes[-1]}"

        return [
            Verdict("linear transfer, largest n", z[:, -1], last, counts),
            Verdict("linear transfer, n >= 10 k", np.where(many, z, np.nan), cell, counts),
        ]

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the training runs of each protocol."""
        out = {"pretraining": data.pretraining_status.values}
        for name in ("scratch", "fine_tuning", "lp_ft"):
            codes = data.status.sel(protocol=name).values
            out[name] = codes[0] if name == "scratch" else codes  # scratch knows no difficulty: counted once
        return out


def settings(config: ReluPhaseDiagramConfig) -> NonlinearSetting:
    """The frozen settings; every check of the configuration happens on the way."""
    return _nonlinear.setting(config, tuple(_nonlinear.sample_sizes(config.grid.sample_sizes).tolist()))


def _arrays(scratch: ScratchReport, pretrained: PretrainReport, moved: TransferReport) -> Arrays:
    """Reports with axes (instance, amount, size) as named arrays."""

    def on_cells(values: np.ndarray) -> np.ndarray:  # (instance, amount, size) -> (amount, size, instance)
        return np.moveaxis(values, 0, -1)

    shape = moved.lp_ft_risk.shape
    alone, alone_status = (np.broadcast_to(v[:, None], shape) for v in (scratch.risk, scratch.status))
    probe_status = np.broadcast_to(pretrained.status[..., None], shape)
    risk = (alone, moved.linear_transfer_risk, moved.ridge_transfer_risk, moved.fine_tuning_risk, moved.lp_ft_risk)
    status = (alone_status, probe_status, probe_status, moved.fine_tuning_status, moved.lp_ft_status)
    cell = ("protocol", "amount", "num_samples", "instance")
    arrays = {
        "risk": (cell, np.stack([on_cells(r) for r in risk])),
        "status": (cell, np.stack([on_cells(s) for s in status]).astype(np.int8)),
    }
    for name in ("source_loss", "out_of_space", "out_of_span", "ridge_floor", "leverage", "num_features", "num_steps"):
        values = getattr(pretrained, name).T
        arrays["pretraining_steps" if name == "num_steps" else name] = (("amount", "instance"), values)
    arrays["pretraining_status"] = (("amount", "instance"), pretrained.status.T)
    return arrays


if __name__ == "__main__":
    main(ReluPhaseDiagram)
