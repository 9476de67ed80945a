"""Does one line explain transfer? Risk against 1 - overlap over task families, depths and activations.

python -m experiments.overlap [overrides]      (--help explains them; -m sweeps)
"""

import dataclasses
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
from tlx.glossary import Protocol
from tlx.nonlinear import NonlinearSetting, transfer_grid
from tlx.train import Optimizer

PROTOCOLS = (Protocol.LINEAR_TRANSFER, Protocol.RIDGE_TRANSFER, Protocol.FINE_TUNING, Protocol.LP_FT)


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
        for network in networks(config):
            for family in families(config):
                setting(config, network, family)
        if config.task.custom is not None:
            _nonlinear.amounts(config, amounts(config, config.task.family).tolist())
        return {
            "protocol": np.asarray(PROTOCOLS),
            "network": np.asarray(networks(config)),
            "family": np.asarray([_nonlinear.family(_with_family(config, family)) for family in families(config)]),
            "fraction": fractions,
            "instance": _grid.instances(config.ensemble),
        }

    def places(self, config: OverlapConfig) -> list[Place]:
        """One unit per network and family."""
        spots = [(i, j) for i in range(len(networks(config))) for j in range(len(families(config)))]
        return [{"network": slice(i, i + 1), "family": slice(j, j + 1)} for i, j in spots]

    def lanes(self, config: OverlapConfig, place: Place) -> int:
        """Pretraining and two fine-tunings per pair."""
        return 3 * len(config.grid.fractions) * config.ensemble.num_instances

    def compute(self, config: OverlapConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one network and one family."""
        network, family = networks(config)[place["network"].start], families(config)[place["family"].start]
        amount, instance = amounts(config, family), _grid.instances(config.ensemble)
        shape = (1, 1, len(amount), len(instance))
        report, moved = transfer_grid(
            setting(config, network, family),
            jax.random.key(config.seed),
            instance[None, :],
            amount[:, None],
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


def networks(config: OverlapConfig) -> list[str]:
    """The networks of the study by name: those of the grid, or the one of network.custom alone."""
    return config.grid.networks if config.network.custom is None else [config.network.custom]


def families(config: OverlapConfig) -> list[Family]:
    """The families of the study: those of the grid, or one for task.custom, which has none."""
    return config.grid.families if config.task.custom is None else [config.task.family]


def _with_family(config: OverlapConfig, family: Family) -> OverlapConfig:
    return dataclasses.replace(config, task=dataclasses.replace(config.task, family=family))


def setting(config: OverlapConfig, network: str, family: Family) -> NonlinearSetting:
    """The frozen settings of one family and one network, written <scaling>-<depth>-<activation> or one's own."""
    if config.network.custom is not None:
        return _online(_with_family(config, family))
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
    return _online(dataclasses.replace(config, network=student, task=task))


def _online(config: OverlapConfig) -> NonlinearSetting:
    """Settings for networks of standard scaling: Adam everywhere, and a source of fresh samples."""
    source = dataclasses.replace(config.pretraining, loss=schemas.SourceLoss.online)
    rule = Optimizer(config.standard_learning_rate, config.standard_num_steps, name="adam", tolerance=0.0)
    frozen = _nonlinear.setting(dataclasses.replace(config, pretraining=source), (config.num_samples,))
    return dataclasses.replace(frozen, pretrain=rule, scratch=rule, fine_tune=rule)


def amounts(config: OverlapConfig, family: Family) -> np.ndarray:
    """Difficulties of a family: fractions of its largest."""
    return np.asarray(config.grid.fractions) * _nonlinear.largest_amount(_with_family(config, family))


if __name__ == "__main__":
    main(Overlap)
