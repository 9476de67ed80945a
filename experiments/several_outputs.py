"""Transfer with several outputs: matrix teachers whose output directions are shared, or turned against each other.

python -m experiments.several_outputs [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.linear import setting as _linear
from experiments.linear.config import OptimizerConfig
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.config import EnsembleConfig, StudyConfig
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, UserError, Verdict
from tlx import stats, theory
from tlx.linear import outputs
from tlx.linear.matrix_task import OutputsSetting, teachers
from tlx.linear.setting import PROTOCOLS
from tlx.train import Status

CELL = ("protocol", "turn", "sample_ratio")
INSTANCES_PER_UNIT = 24


@dataclass
class OutputsTaskConfig:
    """The pair of matrix teachers: one angle and one singular value of each for every output."""

    dim: int = 80  # input dimension d
    noise_std: float = 0.5  # label noise of every output; risks never contain it
    overlap_angles: list[float] = field(default_factory=lambda: [0.5, 1.2])  # principal angles, radians in [0, pi]
    target_values: list[float] = field(default_factory=lambda: [1.3, 0.8])  # singular values of B_t
    source_values: list[float] = field(default_factory=lambda: [1.0, 0.7])  # singular values of B_s


@dataclass
class OutputsNetworkConfig:
    """The student network."""

    depth: int = 2  # number of weight layers, at least 2


@dataclass
class OutputsGrid:
    """How far the target's output vectors are turned, and how much data there is."""

    turns: list[float] = field(default_factory=lambda: [0.0, 1.2])  # radians in [0, pi]; 0: shared output vectors
    sample_ratios: Any = field(default_factory=lambda: [0.2, 0.4, 0.6, 1.5, 2.0])  # n / dim


@dataclass
class SeveralOutputsConfig(StudyConfig):
    """Turn x sample ratio x instance x protocol."""

    task: OutputsTaskConfig = field(default_factory=OutputsTaskConfig)
    network: OutputsNetworkConfig = field(default_factory=OutputsNetworkConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=0.02))
    grid: OutputsGrid = field(default_factory=OutputsGrid)
    ensemble: EnsembleConfig = field(default_factory=lambda: EnsembleConfig(num_instances=24))


class SeveralOutputs(Study):
    """Does the theory hold for several outputs? Linear transfer against its exact form; fine-tuning against the sum
    over singular values, which is exact where source and target share their output vectors, and fails where not.
    """

    Config = SeveralOutputsConfig
    runs_along = ("instance", "turn")

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import several_outputs

        return {"several_outputs": several_outputs.slices}

    def setting(self, config: SeveralOutputsConfig) -> OutputsSetting:
        """The frozen settings."""
        task = config.task
        values = (task.overlap_angles, task.target_values, task.source_values)
        return OutputsSetting(
            *(tuple(float(x) for x in one) for one in values),
            dim=task.dim,
            depth=config.network.depth,
            noise_std=task.noise_std,
            optimizer=_linear.optimizer(config.optimizer),
        )

    def axes(self, config: SeveralOutputsConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        self.setting(config)
        turns = _grid.axis("grid.turns", list(config.grid.turns), np.pi)
        if turns[0] < 0 or turns[-1] > np.pi:
            raise UserError(f"grid.turns = {turns.tolist()} must lie in [0, pi]; turns are in radians.")
        return {
            "protocol": np.asarray([str(protocol) for protocol in PROTOCOLS]),
            "turn": turns,
            "sample_ratio": _linear.sample_ratios(config.grid.sample_ratios, config.task.dim),
            "instance": _grid.instances(config.ensemble),
        }

    def places(self, config: SeveralOutputsConfig) -> list[Place]:
        """One unit for every sample ratio and block of instances."""
        return _grid.split(
            self.axes(config), "sample_ratio", _grid.instance_blocks(config.ensemble, INSTANCES_PER_UNIT)
        )

    def compute(self, config: SeveralOutputsConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one unit."""
        axes = self.axes(config)
        own = _grid.part(axes, place)
        most = int(_linear.sample_counts(axes["sample_ratio"], config.task.dim).max())
        report = outputs.output_lanes(
            self.setting(config),
            jax.random.key(config.seed),
            own["instance"][None, :],
            _linear.sample_counts(own["sample_ratio"], config.task.dim)[0],
            own["turn"][:, None],
            rows=most,
            layout=_grid.layout(config.ensemble, len(own["instance"]) * len(own["turn"])),
            progress=lambda done, total: progress(done),
        )
        risk = np.stack([report.scratch_risk, report.linear_transfer_risk, report.fine_tuning_risk])
        closed = np.full_like(report.status, Status.CONVERGED)  # scratch and probe are solved, not trained
        status = np.stack([closed, closed, report.status]).astype(np.int8)
        cell = (*CELL, "instance")
        return {
            "risk": (cell, risk[:, :, None]),
            "status": (cell, status[:, :, None]),
            "num_steps": (cell[1:], report.num_steps[:, None].astype(np.int32)),
        }

    def finish(self, config: SeveralOutputsConfig, data: xr.Dataset) -> xr.Dataset:
        """Theory beside the measurement, standard errors, and by how much the sum over singular values misses."""
        counts = _linear.sample_counts(data.sample_ratio.values, config.task.dim)
        data = data.assign_coords(num_samples=("sample_ratio", counts))
        _estimates.add(data)
        setting, turns = self.setting(config), data.turn.values
        exact = np.stack([forms(setting, turn, counts / setting.dim) for turn in turns], 1)
        fine = np.linspace(data.sample_ratio.values.min() * 0.8, data.sample_ratio.values.max() * 1.05, 241)
        data = data.assign_coords(fine_ratio=fine)
        measured = stats.Estimate(data.risk_mean.values, data.risk_standard_error.values, data.usable_instances.values)
        data["theory"], data["z"] = (CELL, exact), (CELL, stats.z_score(measured, exact))
        curves = np.stack([forms(setting, turn, fine) for turn in turns], 1)
        data["theory_curve"] = (("protocol", "turn", "fine_ratio"), curves)
        shape = f"{len(config.task.overlap_angles)} outputs, d = {setting.dim}, depth {setting.depth}"
        data.attrs["title"] = f"{shape}, σ = {setting.noise_std:g}"
        data.attrs["notes"] = "\n".join(_findings(data))
        data.turn.attrs = {"units": "rad", "long_name": "turn of the target's output vectors against the source's"}
        data.risk.attrs = {"long_name": "excess population risk, summed over outputs", "units": "label^2"}
        return data

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """Standard errors from the exact forms; the sum over singular values where it cannot hold has its own row."""
        out = []
        shared = data.turn.values == 0
        for name in data.protocol.values:
            own = data.sel(protocol=name)
            known = np.ones(len(shared), bool) if name != "fine_tuning" else shared
            parts = [(str(name), known)]
            if name == "fine_tuning":
                parts = [("fine_tuning, outputs shared", known), ("fine_tuning, turned: the sum fails", ~known)]
            for label, chosen in parts:
                if chosen.any():
                    out.append(_verdict(label, own.isel(turn=chosen), claimed=chosen is known))
        return out


def forms(setting: OutputsSetting, turn: float, ratios: np.ndarray) -> np.ndarray:
    """Scratch, linear transfer, and the sum over singular values, at n/d: (3, ratios); inf at a pole."""
    size, noise = len(setting.overlap_angles), setting.noise_std
    angles, values = np.asarray(setting.overlap_angles), np.asarray(setting.target_values)
    pair = teachers(jax.random.key(0), setting, turn)  # the risk knows the angles, not the directions
    whole = ratios * setting.dim
    scratch = theory.multi_output_scratch_risk(ratios, noise, size, target_norm=np.linalg.norm(values), dim=setting.dim)
    probe = theory.multi_output_linear_transfer_risk(pair.target, pair.source, noise, num_samples=whole)
    summed = theory.multi_output_fine_tuning_risk(
        angles, ratios, noise, target_values=values, source_values=np.asarray(setting.source_values),
        depth=setting.depth,
    )  # fmt: skip
    summed = np.where(ratios > 1, scratch, summed)  # there both end at least squares, whose mean is known at every d
    return np.stack([np.asarray(row, float) for row in (scratch, probe, summed)])


def _verdict(label: str, own: xr.Dataset, *, claimed: bool) -> Verdict:
    clear = own.z.where((own.status == Status.CONVERGED).all("instance"))
    counts = own.usable_instances.values[np.isfinite(clear.values)]
    fewest = int(min(counts, default=0))
    return Verdict(label, clear.values, _estimates.where(own, tuple(map(str, clear.dims))), fewest, claimed=claimed)


def _findings(data: xr.Dataset) -> list[str]:
    """By how much the sum over singular values misses where output vectors are turned."""
    lines, own = [], data.sel(protocol="fine_tuning")
    for turn in data.turn.values[data.turn.values > 0]:
        one = own.sel(turn=turn)
        if not np.isfinite(one.z).any():
            continue
        at = int(np.nanargmax(np.abs(one.z.values)))
        here = one.isel(sample_ratio=at)
        lines.append(
            f"Output vectors turned by {turn:.3g}: at n/d = {float(here.sample_ratio):.3g} fine-tuning ends at "
            f"{float(here.risk_mean):.3g} ± {float(here.risk_standard_error):.2g}, where the sum over singular values "
            f"says {float(here.theory):.3g}: it fails by {abs(float(here.z)):.1f} standard errors."
        )
    return lines


if __name__ == "__main__":
    main(SeveralOutputs)
