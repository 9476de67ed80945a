"""Does one line explain transfer? Risk against 1 - overlap over task families, depths and activations.

python -m experiments.overlap [overrides]      (--help explains them; -m sweeps)
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import numpy as np
import xarray as xr

from experiments.nonlinear import config as schemas
from experiments.nonlinear import setting as _nonlinear
from experiments.nonlinear.config import Family, NonlinearStudyConfig
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, UserError
from tlx import ensemble
from tlx.nonlinear import NonlinearSetting
from tlx.train import Optimizer

PROTOCOLS = ("linear_transfer", "ridge_transfer", "fine_tuning", "lp_ft")


@dataclass
class OverlapGrid:
    """Families, difficulties in units of the largest of each family, and networks as <scaling>-<depth>-<activation>."""

    families: list[Family] = field(default_factory=lambda: [Family.removal, Family.rotation, Family.mixture])
    fractions: list[float] = field(default_factory=lambda: [0.0, 0.25, 0.5, 0.75, 1.0])  # of the largest difficulty
    networks: list[str] = field(
        default_factory=lambda: [
            *("mean_field-2-relu", "mean_field-2-erf"),
            *("standard-2-relu", "standard-3-relu", "standard-4-relu", "standard-2-tanh", "standard-3-gelu"),
        ]
    )


@dataclass
class OverlapConfig(NonlinearStudyConfig):
    """Risk of transfer against 1 - overlap, over tasks, depths and activations."""

    grid: OverlapGrid = field(default_factory=OverlapGrid)
    num_samples: int = 500  # target sample size
    standard_learning_rate: float = 0.003  # Adam, for networks of standard scaling, pretrained online
    standard_num_steps: int = 800  # at most


class Overlap(Study):
    """Does one line explain transfer? Risk against 1 - overlap for all pairs of several task families, depths and
    activations: how much of the variance one line through them explains, protocol by protocol.
    """

    Config = OverlapConfig

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import overlap

        return {"overlap": overlap.scatter}

    def axes(self, config: OverlapConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        fractions = np.asarray(config.grid.fractions, float)
        if fractions.size == 0 or np.any(~((fractions >= 0) & (fractions <= 1))):
            raise UserError(f"grid.fractions = {config.grid.fractions} must hold numbers in [0, 1].")
        for network in config.grid.networks:
            for family in config.grid.families:
                setting(config, network, family)
        return {
            "protocol": np.asarray(PROTOCOLS),
            "network": np.asarray(config.grid.networks),
            "family": np.asarray([family.value for family in config.grid.families]),
            "fraction": fractions,
            "instance": _grid.instances(config.ensemble),
        }

    def places(self, config: OverlapConfig) -> list[Place]:
        """One unit per network and family."""
        grid = config.grid
        spots = [(i, j) for i in range(len(grid.networks)) for j in range(len(grid.families))]
        return [{"network": slice(i, i + 1), "family": slice(j, j + 1)} for i, j in spots]

    def lanes(self, config: OverlapConfig, place: Place) -> int:
        """Pretraining and two fine-tunings per pair."""
        return 3 * len(config.grid.fractions) * config.ensemble.num_instances

    def compute(self, config: OverlapConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one network and one family."""
        network, family = config.grid.networks[place["network"].start], config.grid.families[place["family"].start]
        amount, instance = amounts(config, family).astype(np.float32), _grid.instances(config.ensemble).astype(np.int32)
        shape = (1, 1, len(amount), len(instance))
        report, moved = ensemble.run_nested(
            _nonlinear.prepare,
            _nonlinear.transfer,
            {"instance": np.tile(instance, len(amount)), "amount": np.repeat(amount, len(instance))},
            np.zeros(1, np.int32),
            (setting(config, network, family), jax.random.key(config.seed)),
            layout=_grid.layout(config.ensemble, amount.size * instance.size),
            progress=lambda done, total: progress(3 * done),
        )
        cell = ("network", "family", "fraction", "instance")
        risk = np.stack([getattr(moved, f"{name}_risk").reshape(shape) for name in PROTOCOLS])
        arrays: Arrays = {"risk": (("protocol", *cell), risk)}
        arrays["lp_ft_status"] = (cell, moved.lp_ft_status.reshape(shape).astype(np.int8))
        arrays["fine_tuning_status"] = (cell, moved.fine_tuning_status.reshape(shape).astype(np.int8))
        arrays["pretraining_status"] = (cell, report.status.reshape(shape).astype(np.int8))
        for name in ("out_of_space", "source_loss", "num_features"):
            arrays[name] = (cell, getattr(report, name).reshape(shape))
        return arrays

    def finish(self, config: OverlapConfig, data: xr.Dataset) -> xr.Dataset:
        """One line per protocol through every pair: slope, offset and the share of variance it explains."""
        lines = []
        for protocol in PROTOCOLS:
            x, y = data.out_of_space.values.ravel(), data.risk.sel(protocol=protocol).values.ravel()
            good = np.isfinite(x) & np.isfinite(y)
            if len(set(x[good].tolist())) < 2:  # two points make a line
                data.attrs[f"line_{protocol}"] = [np.nan] * 3
                lines.append(f"{protocol}: {good.sum()} usable runs, too few for a line.")
                continue
            slope, offset = np.polyfit(x[good], y[good], 1)
            explained = 1 - np.var(y[good] - slope * x[good] - offset) / np.var(y[good])
            data.attrs[f"line_{protocol}"] = [float(slope), float(offset), float(explained)]
            lines.append(
                f"{protocol}: risk = {slope:.3f} (1 - overlap) + {offset:.3f} explains {100 * explained:.1f} %."
            )
        data.attrs["title"] = (
            f"n = {config.num_samples}, cut-off {config.linear_transfer.cutoff:g}, d = {config.task.dim}"
        )
        data.attrs["notes"] = "\n".join([*lines, *_nonlinear.status_notes(self.statuses(data))])
        return data

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the training runs."""
        return {name: data[f"{name}_status"].values for name in ("pretraining", "fine_tuning", "lp_ft")}


def setting(config: OverlapConfig, network: str, family: schemas.Family) -> NonlinearSetting:
    """The frozen settings of one network, written <scaling>-<depth>-<activation>, and one family."""
    try:
        scaling, depth, activation = network.split("-")
        student = dataclasses.replace(
            config.network,
            scaling=schemas.Scaling(scaling),
            depth=int(depth),
            activation=schemas.Activation(activation),
        )
    except ValueError:
        raise UserError(
            f"grid.networks holds {network!r}; write <scaling>-<depth>-<activation>: standard-3-relu."
        ) from None
    exact = student.scaling is schemas.Scaling.mean_field
    teacher = schemas.TeacherActivation(activation) if exact and activation in ("relu", "erf", "linear") else None
    task = dataclasses.replace(config.task, family=family, activation=teacher or config.task.activation)
    if exact:
        return _nonlinear.setting(dataclasses.replace(config, network=student, task=task), (config.num_samples,))
    student.init_scale = 1.0
    source = dataclasses.replace(config.pretraining, loss=schemas.SourceLoss.online)
    changed = dataclasses.replace(config, network=student, task=task, pretraining=source)
    rule = Optimizer(config.standard_learning_rate, config.standard_num_steps, name="adam", tolerance=0.0)
    frozen = _nonlinear.setting(changed, (config.num_samples,))
    return dataclasses.replace(frozen, pretrain=rule, scratch=rule, fine_tune=rule)


def amounts(config: OverlapConfig, family: schemas.Family) -> np.ndarray:
    """Difficulties of a family: fractions of its largest."""
    top = 1 - 1 / config.task.num_neurons if family is schemas.Family.removal else math.pi / 2
    return np.asarray(config.grid.fractions) * top


if __name__ == "__main__":
    main(Overlap)
