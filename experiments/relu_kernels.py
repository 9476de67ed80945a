"""Does mean-field pretraining learn the source teacher's kernel? Alignment, loss and overlap over training.

python -m experiments.relu_kernels [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from experiments.nonlinear import setting as _nonlinear
from experiments.nonlinear.config import NonlinearStudyConfig
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, UserError
from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear import NonlinearSetting, pretraining_lanes
from tlx.nonlinear.alignment import kernel_alignment
from tlx.nonlinear.overlap import cutoff_overlap, exact_moments, learned_basis


@dataclass
class KernelGrid:
    """Difficulties only."""

    amounts: Any = field(default_factory=lambda: [0.0, 0.25, 0.5, 0.75])  # fraction removed, or angle in radians


@dataclass
class ReluKernelsConfig(NonlinearStudyConfig):
    """The learned kernel against the source teacher's, over training."""

    grid: KernelGrid = field(default_factory=KernelGrid)
    num_records: int = 30  # points in time
    cutoffs: list[float] = field(default_factory=lambda: [1e-6, 1e-4, 1e-3, 1e-2, 5e-2])  # of the feature overlap


class ReluKernels(Study):
    """Does mean-field pretraining learn the source teacher's kernel? Kernel alignment, population loss and feature
    overlap over pretraining, every one of them exact.
    """

    Config = ReluKernelsConfig
    runs_along = ("amount", "instance")

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import relu_kernels

        return {"relu_kernels": relu_kernels.curves}

    def axes(self, config: ReluKernelsConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        if not _nonlinear.setting(config, (1,)).exact or config.pretraining.loss.value != "population":
            raise UserError(
                "relu_kernels follows the exact loss: use a mean-field network, pretraining.loss=population."
            )
        cutoffs = np.asarray(config.cutoffs, float)
        if cutoffs.size == 0 or np.any(~((cutoffs >= 0) & (cutoffs < 1))):
            raise UserError(
                f"cutoffs = {config.cutoffs} must hold numbers in [0, 1), relative to the largest eigenvalue."
            )
        return {
            "amount": _nonlinear.amounts(config, config.grid.amounts),
            "step": records(config),
            "cutoff": cutoffs,
            "instance": _grid.instances(config.ensemble),
        }

    def places(self, config: ReluKernelsConfig) -> list[Place]:
        """One unit per block of instances."""
        return _grid.instance_blocks(config.ensemble, 20)

    def compute(self, config: ReluKernelsConfig, place: Place, progress: Progress) -> Arrays:
        """Pretrain every pair of one unit."""
        own = self.axes(config)
        instance, amount = own["instance"][place["instance"]], own["amount"]
        found = pretraining_lanes(
            _nonlinear.setting(config, (1,)),
            jax.random.key(config.seed),
            instance[None, :],
            amount[:, None],
            observe=look,
            record_at=tuple(own["step"].tolist()),
            given=own["cutoff"].astype(np.float32),
            layout=_grid.layout(config.ensemble, instance.size * amount.size),
            progress=lambda done, _: progress(done),
        )
        names = ("source_loss", "alignment_source", "alignment_target", "overlap")
        out: Arrays = {"status": (("amount", "instance"), found.status.astype(np.int8))}
        for name, values in zip(names, found.curve, strict=True):
            out[name] = (("amount", "instance", "step", "cutoff")[: values.ndim], values)
        return out

    def finish(self, config: ReluKernelsConfig, data: xr.Dataset) -> xr.Dataset:
        """What the end of training says about the claim that the learned kernel is the source teacher's."""
        end = data.isel(step=-1)
        data.attrs["title"], data.attrs["family"] = _nonlinear.title(config), _nonlinear.family(config)
        for name in ("source_loss", "alignment_source", "alignment_target", "overlap"):
            data[f"{name}_mean"] = data[name].mean("instance")
        data.alignment_source.attrs = {"long_name": "cosine of learned and source teacher's kernel"}
        lines = [
            f"relative population loss at the end: at most {float(end.source_loss.max()):.2g}.",
            f"kernel alignment with the source teacher at the end: {float(end.alignment_source.mean()):.3f} on "
            f"average, "
            f"{float(end.alignment_source.min()):.3f} at worst "
            f"({float(data.alignment_source.isel(step=0).mean()):.3f} "
            "before training); the published claim is 1.",
        ]
        data.attrs["notes"] = "\n".join(
            [*_nonlinear.worded(lines), *_nonlinear.status_notes({"pretraining": data.status.values})]
        )
        return data

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of pretraining."""
        return {"pretraining": data.status.values}


def records(config: ReluKernelsConfig) -> np.ndarray:
    """Step numbers at which the network is looked at, evenly spaced in log time, 0 included."""
    last = _nonlinear.setting(config, (1,)).pretrain.num_steps
    if config.num_records < 2:
        raise UserError(f"num_records = {config.num_records} shows no change; use at least 2.")
    return np.unique(np.rint(np.append(0, np.geomspace(1, last, config.num_records - 1))).astype(np.int32))


def look(setting: NonlinearSetting, cutoffs: Array, weights: TwoLayer, source: TwoLayer, target: TwoLayer) -> Any:
    """What is recorded of a network: relative loss, the two alignments, and the overlap at each cut-off."""
    name = setting.teacher_activation
    basis = learned_basis(exact_moments(weights, target, name))
    overlaps = jnp.stack([cutoff_overlap(basis, cutoff)[0] for cutoff in cutoffs])
    loss = mean_field.population_loss(weights, source, name) / mean_field.inner_product(source, source, name)
    return loss, kernel_alignment(weights, source, name), kernel_alignment(weights, target, name), overlaps


if __name__ == "__main__":
    main(ReluKernels)
