"""Where does transfer help beyond the linear case? Difficulty x sample size x instance x method, nonlinear networks.

python -m experiments.relu_phase_diagram [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.figures import relu_phase_diagram as relu_phase
from experiments.linear import setting as _linear
from experiments.nonlinear import setting as _nonlinear
from experiments.nonlinear import theory as _nonlinear_theory
from experiments.nonlinear.config import ReluPhaseDiagramConfig
from experiments.running import app as _app
from experiments.running.store import Arrays
from experiments.running.study import Place, Study, Verdict
from tlx import ensemble, stats
from tlx.nonlinear import METHODS, NonlinearSetting

INSTANCES_PER_UNIT = 8


def settings(config: ReluPhaseDiagramConfig) -> NonlinearSetting:
    """The frozen settings; every check of the configuration happens on the way."""
    return _nonlinear.setting(config, tuple(_nonlinear.sample_sizes(config.grid.sample_sizes).tolist()))


def axes(config: ReluPhaseDiagramConfig) -> dict[str, np.ndarray]:
    """Coordinates, and with them every check of the configuration."""
    return {
        "method": np.asarray(METHODS),
        "amount": _nonlinear.amounts(config, config.grid.amounts),
        "num_samples": np.asarray(settings(config).sizes, np.int32),
        "instance": _linear.instances(config.ensemble),
    }


def places(config: ReluPhaseDiagramConfig) -> list[Place]:
    """One unit per block of instances: samples of all sizes are parts of one draw."""
    return [{"instance": block} for block in _linear.instance_blocks(config.ensemble, INSTANCES_PER_UNIT)]


def lanes(config: ReluPhaseDiagramConfig, place: Place) -> int:
    """Training runs in a unit: pretraining per pair, two fine-tunings per pair and size, scratch per sample."""
    own = axes(config)
    pairs, sizes = len(own["amount"]), len(own["num_samples"])
    return len(own["instance"][place["instance"]]) * (pairs * (1 + 2 * sizes) + sizes)


def compute(config: ReluPhaseDiagramConfig, place: Place, progress: Callable[[int], None]) -> Arrays:
    """Train every pair of one unit."""
    own = axes(config)
    instance, amount = own["instance"][place["instance"]].astype(np.int32), own["amount"].astype(np.float32)
    index = np.arange(len(own["num_samples"]), dtype=np.int32)
    shared = (settings(config), jax.random.key(config.seed))
    samples = {"instance": np.repeat(instance, len(index)), "index": np.tile(index, len(instance))}
    layout = _linear.layout(config.ensemble, len(samples["index"]))
    scratch = ensemble.run(
        _nonlinear.scratch, samples, shared, layout=layout, progress=lambda done, total: progress(done)
    )
    runs = len(index) * 2 + 1
    begun = len(samples["index"])
    pretrained, moved = ensemble.run_nested(
        _nonlinear.prepare,
        _nonlinear.transfer,
        {"instance": np.repeat(instance, len(amount)), "amount": np.tile(amount, len(instance))},
        index,
        shared,
        layout=_linear.layout(config.ensemble, len(instance) * len(amount)),
        progress=lambda done, total: progress(begun + done * runs),
    )
    return _arrays(len(instance), len(amount), scratch, pretrained, moved)


def _arrays(instances: int, pairs: int, scratch: Any, pretrained: Any, moved: Any) -> Arrays:
    """Reports with the lane axis first as named arrays."""

    def on_cells(values: np.ndarray) -> np.ndarray:  # (instance * amount, size) -> (amount, size, instance)
        return np.moveaxis(values.reshape(instances, pairs, -1), 0, -1)

    alone = np.broadcast_to(scratch.risk.reshape(instances, 1, -1), (instances, pairs, moved.lp_ft_risk.shape[1]))
    alone_status = np.broadcast_to(scratch.status.reshape(instances, 1, -1), alone.shape)
    probe_status = np.repeat(pretrained.status[:, None], alone.shape[2], 1)
    risk = (alone, moved.linear_transfer_risk, moved.ridge_transfer_risk, moved.fine_tuning_risk, moved.lp_ft_risk)
    status = (alone_status, probe_status, probe_status, moved.fine_tuning_status, moved.lp_ft_status)
    cell = ("method", "amount", "num_samples", "instance")
    arrays = {
        "risk": (cell, np.stack([on_cells(r) for r in risk])),
        "status": (cell, np.stack([on_cells(s) for s in status]).astype(np.int8)),
    }
    for name in ("source_loss", "out_of_space", "out_of_span", "ridge_floor", "leverage", "num_features", "num_steps"):
        values = getattr(pretrained, name).reshape(instances, pairs).T
        arrays["pretraining_steps" if name == "num_steps" else name] = (("amount", "instance"), values)
    arrays["pretraining_status"] = (("amount", "instance"), pretrained.status.reshape(instances, pairs).T)
    return arrays


def finish(config: ReluPhaseDiagramConfig, data: xr.Dataset) -> xr.Dataset:
    """Predictions beside the measurement, standard errors, and what the numbers say."""
    usable = _linear.usable(data.status.values)
    measured = stats.estimate(data.risk.values, usable)
    gain = stats.estimate(data.risk.values[:1] - data.risk.values, usable & usable[:1])
    cell = ("method", "amount", "num_samples")
    data["risk_mean"], data["risk_standard_error"] = (cell, measured.mean), (cell, measured.standard_error)
    data["transferability"] = (cell, gain.mean)
    data["transferability_standard_error"] = (cell, gain.standard_error)
    data["usable_instances"] = (cell, measured.count)
    data = _nonlinear_theory.predictions(config, data)
    data.risk.attrs = {"long_name": "excess population risk E (f - f_t)^2", "units": "E f_t^2"}
    data.source_loss.attrs = {"long_name": "relative population loss of pretraining E (f - f_s)^2 / E f_s^2"}
    data.out_of_space.attrs = {"long_name": f"|P_perp f_t|^2 at cut-off {config.linear_transfer.cutoff:g}"}
    data.amount.attrs = {"long_name": _nonlinear.AMOUNT_NAMES[config.task.family.value]}
    data.attrs["title"] = _nonlinear.title(config)
    data.attrs["family"] = config.task.family.value
    data.attrs["cutoff"] = config.linear_transfer.cutoff
    data.attrs["sign_margin"] = config.sign_margin
    data.attrs["notes"] = "\n".join([*_nonlinear_theory.notes(data), *_nonlinear.status_notes(statuses(data))])
    return data


def verdicts(data: xr.Dataset) -> list[Verdict]:
    """Linear transfer against floor plus variance, at the largest n and at every n of ten or more per feature."""
    z = data.z.values
    amount, sizes = data.amount.values, data.num_samples.values
    many = sizes[None, :] >= 10 * data.num_features.values.max(1)[:, None]
    counts = int(data.usable_instances.sel({"method": "linear_transfer"}).min())

    def cell(at: tuple[int, ...]) -> str:
        return f"amount = {amount[at[0]]:.3g}, n = {sizes[at[1]]}"

    def last(at: tuple[int, ...]) -> str:
        return f"amount = {amount[at[0]]:.3g}, n = {sizes[-1]}"

    return [
        Verdict("linear transfer, largest n", z[:, -1], last, counts),
        Verdict("linear transfer, n >= 10 k", np.where(many, z, np.nan), cell, counts),
    ]


def statuses(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Status codes of the training runs of each method."""
    out = {"pretraining": data.pretraining_status.values}
    for method in ("scratch", "fine_tuning", "lp_ft"):
        codes = data.status.sel({"method": method}).values
        out[method] = codes[0] if method == "scratch" else codes  # scratch knows no difficulty: counted once
    return out


STUDY = Study(
    name="relu_phase_diagram",
    axes=axes,
    places=places,
    lanes=lanes,
    compute=compute,
    finish=finish,
    verdicts=verdicts,
    statuses=statuses,
    figures={
        "relu_phase_diagram": relu_phase.diagram,
        "relu_slices": relu_phase.slices,
        "out_of_space": relu_phase.out_of_space,
    },
)

if __name__ == "__main__":
    _app.main("relu_phase_diagram")
