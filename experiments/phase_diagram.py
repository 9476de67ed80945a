"""Where does transfer help? Overlap angle x sample ratio x instance x method, trained networks beside theory.

python -m experiments.phase_diagram [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable

import jax
import numpy as np
import xarray as xr

from experiments.figures import phase_diagram as phase
from experiments.figures import surface
from experiments.figures.style import edges
from experiments.linear import setting as _linear
from experiments.linear import theory as _linear_theory
from experiments.linear.config import Engine, PhaseDiagramConfig
from experiments.running import app as _app
from experiments.running.store import Arrays
from experiments.running.study import Place, Study, Verdict
from tlx import ensemble, stats
from tlx.linear.reports import ScratchReport, TransferReport
from tlx.linear.setting import METHODS, LinearSetting
from tlx.train import Status


def axes(config: PhaseDiagramConfig) -> dict[str, np.ndarray]:
    """Coordinates, and with them every check of the configuration."""
    setting = _linear.setting(config)
    _linear.check_engine(config)
    return {
        "method": np.asarray(METHODS),
        "theta": _linear.overlap_angles(config.grid.overlap_angles),
        "sample_ratio": _linear.sample_ratios(config.grid.sample_ratios, config.task.dim),
        "instance": _linear.instances(config.ensemble),
        "ridge": np.asarray(setting.ridges),
        "weight_decay": np.asarray(setting.weight_decays),
    }


def places(config: PhaseDiagramConfig) -> list[Place]:
    """One unit per sample ratio and block of instances; each holds every angle."""
    block = 4 if config.engine is Engine.full else 32
    ratios = _linear.sample_ratios(config.grid.sample_ratios, config.task.dim)
    return _linear.places(ratios, _linear.instance_blocks(config.ensemble, block))


def lanes(config: PhaseDiagramConfig, place: Place) -> int:
    """Training runs in a unit: scratch per data set, pretraining and fine-tuning per pair."""
    data_sets = len(_linear.instances(config.ensemble)[place["instance"]])
    return data_sets * _runs_per_data_set(config)


def _runs_per_data_set(config: PhaseDiagramConfig) -> int:
    return len(config.scratch.weight_decays) + 2 * len(_linear.overlap_angles(config.grid.overlap_angles))


def compute(config: PhaseDiagramConfig, place: Place, progress: Callable[[int], None]) -> Arrays:
    """Train every pair of one unit."""
    return arrays(*reports(config, _linear.setting(config), place, progress))


def reports(
    config: PhaseDiagramConfig, setting: LinearSetting, place: Place, progress: Callable[[int], None]
) -> tuple[ScratchReport, TransferReport]:
    """What the engine reports of one unit's data sets, with axes (instance,), and pairs, (instance, theta)."""
    own = {name: values[place.get(name, slice(None))] for name, values in axes(config).items()}
    (ratio,) = own["sample_ratio"]
    instance = own["instance"]
    outer = {
        "instance": instance.astype(np.int32),
        "num_samples": np.full(len(instance), _linear.sample_counts(np.asarray([ratio]), config.task.dim)[0]),
    }
    return ensemble.run_nested(
        *_linear.programs(config.engine),
        outer,
        own["theta"],
        (setting, jax.random.key(config.seed)),
        layout=_linear.layout(config.ensemble, len(instance)),
        progress=lambda done, total: progress(done * _runs_per_data_set(config)),
    )


def arrays(scratch: ScratchReport, transfer: TransferReport) -> Arrays:
    """Reports with axes (instance, ...) as named arrays with the sample_ratio axis of length one."""
    angles = transfer.fine_tuning_risk.shape[1]
    spread = np.repeat(scratch.risk[:, 0][:, None], angles, 1)  # scratch knows no angle
    risk = np.stack([spread, transfer.linear_transfer_risk[:, :, 0], transfer.fine_tuning_risk])
    scratch_status = np.repeat(scratch.status[:, 0][:, None], angles, 1)
    status = np.stack([scratch_status, transfer.linear_transfer_status, transfer.fine_tuning_status])
    cell = ("theta", "sample_ratio", "instance")

    def on_cells(values: np.ndarray) -> np.ndarray:
        return np.moveaxis(values, -1, -2)[..., None, :]

    return {
        "risk": (("method", *cell), on_cells(risk)),
        "status": (("method", *cell), on_cells(status.astype(np.int8))),
        "risk_by_ridge": (("ridge", *cell), np.transpose(transfer.linear_transfer_risk, (2, 1, 0))[:, :, None]),
        "risk_by_weight_decay": (("weight_decay", "sample_ratio", "instance"), scratch.risk.T[:, None]),
        "status_by_weight_decay": (
            ("weight_decay", "sample_ratio", "instance"),
            scratch.status.T[:, None].astype(np.int8),
        ),
        "source_risk": (cell, on_cells(transfer.source_risk)),
        "num_features": (cell, on_cells(transfer.num_features.astype(np.int32))),
        "fine_tuning_steps": (cell, on_cells(transfer.fine_tuning_steps.astype(np.int32))),
        "scratch_steps": (("weight_decay", "sample_ratio", "instance"), scratch.num_steps.T[:, None].astype(np.int32)),
        "stable_learning_rate": (("sample_ratio", "instance"), scratch.stable_learning_rate[None, :]),
    }


def finish(config: PhaseDiagramConfig, data: xr.Dataset) -> xr.Dataset:
    """Theory beside the measurement, standard errors, and what the numbers are."""
    theta, ratio = data.theta.values, data.sample_ratio.values
    counts = _linear.sample_counts(ratio, config.task.dim)
    data = data.assign_coords(num_samples=("sample_ratio", counts))
    fine = _fine(theta, 61, np.pi), _fine(ratio, 161, np.inf)
    whole = _linear_theory.whole_ratio(config.task, ratio)
    cells, curves, field = _linear_theory.phase_diagrams(config, [(theta, whole), (theta, fine[1]), fine])
    exact, published = cells
    usable = _linear.usable(data.status.values)
    measured = stats.estimate(data.risk.values, usable)
    benefit = stats.estimate(data.risk.values[:1] - data.risk.values)
    # instance by instance, so that what instances differ in by chance (their vectors) is not counted as scatter
    finite = np.where(np.isfinite(exact), exact, np.nan)
    excess = stats.estimate(data.risk.values - finite, usable)
    for name, values in {
        "theory": exact.mean(-1),
        "theory_published": published.mean(-1),
        "risk_mean": measured.mean,
        "risk_standard_error": measured.standard_error,
        "usable_instances": measured.count,
        "transferability": benefit.mean,
        "transferability_standard_error": benefit.standard_error,
        "z": stats.z_score(excess, 0.0),
    }.items():
        data[name] = (("method", "theta", "sample_ratio"), values)
    data = data.assign_coords(fine_theta=fine[0], fine_ratio=fine[1])
    data["theory_curve"] = (("method", "theta", "fine_ratio"), curves[0].mean(-1))
    data["theory_published_curve"] = (("method", "theta", "fine_ratio"), curves[1].mean(-1))
    data["theory_field"] = (("method", "fine_theta", "fine_ratio"), field[0].mean(-1))
    fine_ridge, curve = _linear_theory.ridge_curve(config, theta, whole[-1])
    data = data.assign_coords(fine_ridge=fine_ridge)
    data["ridge_curve"] = (("theta", "fine_ridge"), curve)
    data.theta.attrs = {"units": "rad", "long_name": "overlap angle between source and target vectors"}
    data.sample_ratio.attrs = {"long_name": "target samples per input dimension, n / d"}
    data.risk.attrs = {"long_name": "excess population risk E (f_hat - f_target)^2", "units": "label^2"}
    data.z.attrs = {"long_name": "(measured mean - exact form) / standard error"}
    data.status.attrs = {"flag_values": [int(s) for s in Status], "flag_meanings": " ".join(s.name for s in Status)}
    data.attrs["title"] = _linear.title(config)
    data.attrs["notes"] = _linear.notes(config, data)
    return data


def _fine(centres: np.ndarray, count: int, top: float) -> np.ndarray:
    """Even steps over the cells of an axis, from half the first value on at least, to `top` at most."""
    first, *_, last = edges(centres)
    return np.linspace(max(first, centres[0] / 2), min(last, top), count)


def verdicts(data: xr.Dataset) -> list[Verdict]:
    """Standard errors from the exact forms, over the cells whose every lane converged."""
    converged = (data.status == Status.CONVERGED).all("instance").values
    z = np.where(converged, data.z.values, np.nan)
    theta, ratio = data.theta.values, data.sample_ratio.values
    out = []
    for i, method in enumerate(METHODS):
        rows = z[i][:1] if method == "scratch" else z[i]  # scratch is one number for all angles: counted once

        def cell(at: tuple[int, ...], method: str = method) -> str:
            where = f"n/d = {ratio[at[1]]:.3g}"
            return where if method == "scratch" else f"theta = {theta[at[0]]:.3f}, {where}"

        counts = data.usable_instances.values[i][np.isfinite(z[i])]
        out.append(Verdict(method, rows, cell, int(counts.min()) if counts.size else 0))
    return out


def statuses(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Status codes of the training runs of each method (linear transfer: of its pretraining)."""
    out = {method: data.status.values[i] for i, method in enumerate(METHODS)}
    return {**out, "scratch": data.status_by_weight_decay.values}


STUDY = Study(
    name="phase_diagram",
    axes=axes,
    places=places,
    lanes=lanes,
    compute=compute,
    finish=finish,
    verdicts=verdicts,
    statuses=statuses,
    figures={
        "phase_diagram": phase.diagram,
        "slices": phase.slices,
        "surfaces": surface.surfaces,
        "ridges": surface.ridges,
    },
)

if __name__ == "__main__":
    _app.main("phase_diagram")
