"""Where does transfer help? Overlap angle x sample ratio x instance x protocol, trained networks beside theory.

python -m experiments.phase_diagram [overrides]      (--help explains them; -m sweeps)
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import numpy as np
import xarray as xr

from experiments.linear import explorer, law
from experiments.linear import over_time as _over_time
from experiments.linear import setting as _linear
from experiments.linear import theory as _theory
from experiments.linear.config import GridConfig, LinearStudyConfig
from experiments.linear.study import LinearStudy, notes
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Verdict
from tlx import stats
from tlx.linear import lanes
from tlx.linear.reports import ScratchReport, TransferReport
from tlx.linear.setting import PENALISED, LinearSetting
from tlx.train import Status

CELL = ("protocol", "theta", "sample_ratio")
FINE = (61, 161)  # angles and n/d of the field of theory that is drawn
PENALTY = {"l2sp": "l2sp_penalty", "layerwise_l2sp": "l2sp_weight_decay", "source_ridge": "orthogonal_ridge"}


@dataclass
class PhaseDiagramConfig(LinearStudyConfig):
    """Angle x sample ratio x instance x protocol."""

    grid: GridConfig = field(default_factory=GridConfig)


class PhaseDiagram(LinearStudy):
    """Where does transfer help? Overlap angle x sample ratio x instance x protocol (scratch, linear transfer,
    fine-tuning): deep linear networks are trained and held against exact forms; the table is in standard errors.
    """

    Config = PhaseDiagramConfig
    apart = tuple((name,) for name in ("ridge", "weight_decay", *PENALTY.values(), "time"))

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import phase_diagram as phase
        from experiments.figures import surface

        return {
            "phase_diagram": phase.diagram,
            "slices": phase.slices,
            "surfaces": surface.surfaces,
            "ridges": surface.ridges,
        }

    def axes(self, config: PhaseDiagramConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        setting = self.setting(config)
        return {
            "protocol": np.asarray([str(protocol) for protocol in setting.protocols]),
            "theta": _linear.overlap_angles(config.grid.overlap_angles),
            "sample_ratio": _linear.sample_ratios(config.grid.sample_ratios, config.task.dim),
            "instance": _grid.instances(config.ensemble),
            "ridge": np.asarray(setting.ridges),
            "weight_decay": np.asarray(setting.weight_decays),
            **{PENALTY[p]: np.asarray(setting.penalties(p)) for p in setting.protocols if p in PENALISED},
        }

    def lanes(self, config: PhaseDiagramConfig, place: Place) -> int:
        """Training runs in a unit: scratch per data set, pretraining and fine-tuning per pair."""
        return super().lanes(config, place) * runs_per_data_set(config)

    def compute(self, config: PhaseDiagramConfig, place: Place, progress: Progress) -> Arrays:
        """Train every pair of one unit."""
        return arrays(self.setting(config).protocols, *self.reports(config, place, progress))

    def reports(
        self, config: PhaseDiagramConfig, place: Place, progress: Progress
    ) -> tuple[ScratchReport, TransferReport]:
        """What the engine reports of one unit's data sets, with axes (instance,), and pairs, (instance, theta)."""
        own = _grid.part(self.axes(config), place)
        layout = _grid.layout(config.ensemble, len(own["instance"]))
        runs = runs_per_data_set(config)
        return lanes.transfer_grid(
            config.engine.value,
            self.setting(config),
            jax.random.key(config.seed),
            own["instance"],
            _linear.sample_counts(own["sample_ratio"], config.task.dim),
            own["theta"],
            layout=layout,
            progress=lambda done, total: progress(done * runs),
        )

    def finish(self, config: PhaseDiagramConfig, data: xr.Dataset) -> xr.Dataset:
        """Theory beside the measurement, standard errors, and what the numbers are."""
        counts = _linear.sample_counts(data.sample_ratio.values, config.task.dim)
        data = data.assign_coords(num_samples=("sample_ratio", counts))
        _estimates.add(data)
        probe = _estimates.usable(data.status.sel(protocol="linear_transfer").values)
        by_ridge = stats.estimate(data.risk_by_ridge.values, probe)
        _estimates.put(data, data.risk_by_ridge.dims[:-1], "risk_by_ridge", by_ridge)
        data = add_theory(self.setting(config), data, _theory.Draws(config.seed, config.ensemble.num_instances))
        data["linear_transfer_exact_z"] = (("theta", "sample_ratio"), law.deviates(self.setting(config), data))
        data.attrs["title"] = _linear.title(config)
        data.attrs["notes"] = "\n".join(notes(data))
        return data

    def exports(self, config: PhaseDiagramConfig, data: xr.Dataset) -> dict[str, str]:
        """Points for the explorer page, whose theory is that of isotropic inputs."""
        setting = self.setting(config)
        return {"explorer.json": explorer.points(setting, data)} if setting.isotropic else {}

    def verdicts(self, data: xr.Dataset) -> list[Verdict]:
        """As of every linear study; linear transfer by the exact law of its risk where that is known."""
        known = data.linear_transfer_exact_z.transpose("theta", "sample_ratio").values
        found = super().verdicts(data)
        return [replace(one, exact=known) if one.method == "linear_transfer" else one for one in found]

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the training runs of each protocol (linear transfer: of its pretraining)."""
        return {**super().statuses(data), "scratch": data.status_by_weight_decay.values}


def runs_per_data_set(config: PhaseDiagramConfig) -> int:
    """Scratch once per weight decay; pretraining, fine-tuning and L2-SP at each penalty once per angle."""
    chosen = _linear.setting(config)
    runs = 1 + ("fine_tuning" in chosen.protocols)
    runs += sum(len(chosen.penalties(p)) for p in ("l2sp", "layerwise_l2sp") if p in chosen.protocols)
    return len(config.scratch.weight_decays) + runs * len(_linear.overlap_angles(config.grid.overlap_angles))


def arrays(protocols: tuple[str, ...], scratch: ScratchReport, transfer: TransferReport) -> Arrays:
    """Reports with axes (instance, ...) as named arrays with the sample_ratio axis of length one."""
    angles = transfer.fine_tuning_risk.shape[1]
    rows = {
        "scratch": (scratch.risk[:, :1].repeat(angles, 1), scratch.status[:, :1].repeat(angles, 1)),  # knows no angle
        "linear_transfer": (transfer.linear_transfer_risk[:, :, 0], transfer.linear_transfer_status),
        "fine_tuning": (transfer.fine_tuning_risk, transfer.fine_tuning_status),
        **{name: (found.risk[:, :, 0], found.status[:, :, 0]) for name, found in transfer.penalised.items()},
    }
    risk, status = (np.stack([rows[protocol][i] for protocol in protocols]) for i in (0, 1))
    cell = ("theta", "sample_ratio", "instance")

    def on_cells(values: np.ndarray) -> np.ndarray:
        return np.moveaxis(values, -1, -2)[..., None, :]

    return {
        "risk": (("protocol", *cell), on_cells(risk)),
        "status": (("protocol", *cell), on_cells(status.astype(np.int8))),
        "risk_by_ridge": (("ridge", *cell), np.transpose(transfer.linear_transfer_risk, (2, 1, 0))[:, :, None]),
        "risk_by_weight_decay": (("weight_decay", "sample_ratio", "instance"), scratch.risk.T[:, None]),
        "status_by_weight_decay": (
            ("weight_decay", "sample_ratio", "instance"),
            scratch.status.T[:, None].astype(np.int8),
        ),
        **{
            f"{what}_by_{PENALTY[name]}": ((PENALTY[name], *cell), values.transpose(2, 1, 0)[:, :, None])
            for name, found in transfer.penalised.items()
            for what, values in (("risk", found.risk), ("status", found.status.astype(np.int8)))
        },
        "pretrained_norm": (cell, on_cells(transfer.pretrained_norm)),
        "pretrained_overlap": (cell, on_cells(transfer.pretrained_overlap)),
        "source_risk": (cell, on_cells(transfer.source_risk)),
        "num_features": (cell, on_cells(transfer.num_features.astype(np.int32))),
        "fine_tuning_steps": (cell, on_cells(transfer.fine_tuning_steps.astype(np.int32))),
        "scratch_steps": (("weight_decay", "sample_ratio", "instance"), scratch.num_steps.T[:, None].astype(np.int32)),
        "stable_learning_rate": (("sample_ratio", "instance"), scratch.stable_learning_rate[None, :]),
    }


def add_theory(setting: LinearSetting, data: xr.Dataset, draws: _theory.Draws) -> xr.Dataset:
    """Exact and published forms on the cells, on fine curves and on a fine field, and z on the cells."""
    theta, ratio = data.theta.values, data.sample_ratio.values
    fine = _fine(theta, FINE[0], np.pi), _fine(ratio, FINE[1], np.inf)
    whole = _theory.whole_ratio(setting, ratio)
    cells, curves, field = _theory.phase_diagrams(setting, [(theta, whole), (theta, fine[1]), fine], draws)
    exact, published = cells
    taken = at_steps(setting, data, exact)
    # instance by instance, so that what instances differ in by chance (their vectors) is not counted as scatter
    finite = np.where(np.isfinite(taken), taken, np.nan)
    excess = stats.estimate(data.risk.values - finite, _estimates.usable(data.status.values))
    ridges, by_ridge = _theory.ridge_curve(setting, theta, whole[-1])
    data = data.assign_coords(fine_theta=fine[0], fine_ratio=fine[1], fine_ridge=ridges)
    data["theory"], data["theory_published"] = (CELL, exact.mean(-1)), (CELL, published.mean(-1))
    data["theory_at_steps"] = (CELL, taken.mean(-1))
    data["z"] = (CELL, stats.z_score(excess, 0.0))
    data["theory_curve"] = (("protocol", "theta", "fine_ratio"), curves[0].mean(-1))
    data["theory_published_curve"] = (("protocol", "theta", "fine_ratio"), curves[1].mean(-1))
    dims, values = ("protocol", "fine_theta", "fine_ratio"), field[0].mean(-1)
    with np.errstate(invalid="ignore"):  # NaN where both are at a pole
        data["theory_field"], data["transferability_field"] = (dims, values), (dims, values[:1] - values)
    data["ridge_curve"] = (("theta", "fine_ridge"), by_ridge)
    return described(data)


def at_steps(setting: LinearSetting, data: xr.Dataset, exact: np.ndarray) -> np.ndarray:
    """The exact form, and for networks whose steps ran out that of the steps which they took; NaN where none is known.

    Axes (protocol, theta, n/d, instance).
    """
    codes = data.status.values
    found = np.where(codes == Status.MAX_STEPS, np.nan, np.broadcast_to(exact, codes.shape))
    theta, ratio = np.meshgrid(data.theta.values, _theory.whole_ratio(setting, data.sample_ratio.values), indexing="ij")
    source = np.stack([data.pretrained_norm.mean("instance").values, data.pretrained_overlap.mean("instance").values])
    steps = {"fine_tuning": data.fine_tuning_steps.values}
    steps["scratch"] = np.broadcast_to(data.scratch_steps.values[0], steps["fine_tuning"].shape)
    for protocol, counts in steps.items():
        if protocol not in setting.protocols:
            continue
        row = setting.protocols.index(protocol)
        late = codes[row] == Status.MAX_STEPS
        cells = late.any(-1)
        if protocol == "scratch":  # one number for all angles
            cells = cells & (np.arange(len(cells)) == 0)[:, None]
        where = theta[cells], ratio[cells], counts[cells], source[:, cells]
        own = _over_time.after_steps(protocol, setting, *where)
        if protocol == "scratch":
            whole = np.full(late.shape[1:], np.nan)
            whole[cells[0]] = own
            found[row] = np.where(late, whole, found[row])
        else:
            found[row][cells] = np.where(late[cells], own, found[row][cells])
    return found


def described(data: xr.Dataset) -> xr.Dataset:
    """Units and long names."""
    for name, about in {
        "theta": {"units": "rad", "long_name": "overlap angle between source and target vectors"},
        "sample_ratio": {"long_name": "target samples per input dimension, n / d"},
        "risk": {"long_name": "excess population risk E (f_hat - f_target)^2", "units": "label^2"},
        "z": {"long_name": "(measured mean - exact form) / standard error"},
        "status": {"flag_values": [int(s) for s in Status], "flag_meanings": " ".join(s.name for s in Status)},
    }.items():
        data[name].attrs = about
    return data


def _fine(centres: np.ndarray, count: int, top: float) -> np.ndarray:
    """Even steps over the cells of an axis, from half the first value on at least, to `top` at most."""
    first, *_, last = _grid.edges(centres)
    return np.linspace(max(first, centres[0] / 2), min(last, top), count)


if __name__ == "__main__":
    main(PhaseDiagram)
