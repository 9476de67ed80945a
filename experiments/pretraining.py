"""Pretraining over time: how features form (Theorem 3.4), trained networks beside the closed forms.

python -m experiments.pretraining [overrides]
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments.linear import setting as _linear
from experiments.linear.config import Covariance, Engine, LinearStudyConfig, OptimizerConfig
from experiments.running import estimates as _estimates
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, UserError, Verdict
from tlx import linalg, stats, theory
from tlx.linear import lanes
from tlx.networks import deep_linear

ALIGNED = 0.99  # cosine from which a chain of depth >= 3 is compared with the aligned closed form


@dataclass
class PretrainingConfig(LinearStudyConfig):
    """Pretraining over time against its closed forms."""

    num_records: int = 60  # points in time, evenly spaced over the steps
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(learning_rate=0.002, num_steps=5000, tolerance=0.0)
    )


class Pretraining(Study):
    """How do features form? The norm, alignment, singular values and balance of the networks that the phase diagram
    pretrains (those of angle 0), over time and beside the closed forms of gradient flow.
    """

    Config = PretrainingConfig

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn."""
        from experiments.figures import pretraining

        return {"pretraining": pretraining.dynamics}

    def axes(self, config: PretrainingConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        setting = _linear.setting(config)
        for wrong, message in (
            (config.engine is not Engine.full, "engine must be full: this study watches the weights themselves"),
            (
                config.task.source_ratio is not None,
                "task.source_ratio must be null: the closed forms are for the population",
            ),
            (
                config.task.covariance is not Covariance.isotropic,
                "task.covariance must be isotropic for the closed forms",
            ),
            (
                config.optimizer.name.value != "gradient_descent",
                "optimizer.name must be gradient_descent (a flow's limit)",
            ),
            (
                config.optimizer.momentum != 0,
                f"optimizer.momentum = {config.optimizer.momentum} must be 0 for the closed forms",
            ),
            (
                config.pretraining.mode.value == "limit",
                "pretraining.mode = limit takes no steps to watch",
            ),
            (config.num_records < 2, f"num_records = {config.num_records} must be at least 2"),
        ):
            if wrong:
                raise UserError(f"{message}.")
        return {
            "step": np.asarray(record_steps(config)),
            "instance": _grid.instances(config.ensemble),
            "layer": np.arange(1, setting.depth + 1),
        }

    def places(self, config: PretrainingConfig) -> list[Place]:
        """One unit per block of instances."""
        return _grid.instance_blocks(config.ensemble, 20)

    def compute(self, config: PretrainingConfig, place: Place, progress: Progress) -> Arrays:
        """Pretrain one unit's networks."""
        instance = _grid.instances(config.ensemble)[place["instance"]]
        watched = lanes.pretraining_lanes(
            "full",
            _linear.setting(config),
            jax.random.key(config.seed),
            instance,
            observe=observe,
            record_at=record_steps(config),
            layout=_grid.layout(config.ensemble, len(instance)),
            progress=lambda done, total: progress(done),
        )
        curve = {name: values[:, 0] for name, values in watched.curve.items()}  # of the only angle, 0
        per_layer = ("singular_value", "second_singular_value")
        arrays: Arrays = {
            name: (("instance", "step", "layer") if name in per_layer else ("instance", "step"), values)
            for name, values in curve.items()
        }
        return {
            **arrays,
            "status": (("instance",), watched.status[:, 0].astype(np.int8)),
            "start_norm": (("instance",), curve.pop("start_norm")[:, 0]),
        }

    def finish(self, config: PretrainingConfig, results: xr.Dataset) -> xr.Dataset:
        """Closed form per instance, and the distance from it."""
        rate = config.pretraining.learning_rate or config.optimizer.learning_rate
        time = results.step.values * rate
        results = results.assign_coords(time=("step", time))
        norm = config.task.source_norm
        theory_norm = _theory(config, results, time)
        results["theory_norm"] = (("instance", "step"), theory_norm)
        results["theory_loss"] = (("instance", "step"), (norm - theory_norm) ** 2)
        for name in ("singular_value", "second_singular_value", "imbalance"):
            results[f"{name}_mean"] = results[name].mean("instance")
        usable = _estimates.usable(results.status.values)[:, None]
        difference = stats.estimate(results.norm.values - theory_norm, usable, axis=0)
        # descent of step eta lags the flow by about eta |beta_s| t (growth by log(1 + 2 eta) instead of 2 eta a step):
        # the resolution of the comparison is that lag times the speed
        speed = np.nanmax(np.abs(np.gradient(np.nan_to_num(theory_norm), time, axis=1)), axis=0)
        results["z"] = ("step", stats.z_score(difference, 0.0, resolution=1e-5 + rate * norm * time * speed))
        results["norm_difference"] = ("step", difference.mean)
        results.attrs["title"] = f"{_linear.title(config)}, α = {_linear.setting(config).init_scale:g}"
        compared = np.abs(difference.mean)[np.isfinite(difference.mean)]
        results.attrs["notes"] = (
            f"largest |mean(|β|) - closed form|: {compared.max():.2g} (step size {rate:g}; the descent follows the "
            "flow to first order in it)"
            if compared.size
            else "no run got so far that there is a record to compare; raise optimizer.num_steps"
        )
        failed = int((results.status.values >= 2).sum())
        if failed:  # whatever their steps
            results.attrs["notes"] = f"{failed} runs diverged and are in no mean; lower optimizer.learning_rate."
        return results

    def verdicts(self, results: xr.Dataset) -> list[Verdict]:
        """Distance of the end-to-end norm from the sigmoid, over time."""

        def cell(at: tuple[int, ...]) -> str:
            return f"t = {results.time.values[at[0]]:.3g}"

        return [Verdict("end-to-end norm", results.z.values, cell, results.sizes["instance"])]

    def statuses(self, results: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the runs (a run that is watched for a fixed time ends with max_steps)."""
        return {"pretraining": results.status.values}


def record_steps(config: PretrainingConfig) -> tuple[int, ...]:
    """Evenly spaced step numbers from the start to optimizer.num_steps."""
    last = _linear.setting(config).pretrain.num_steps
    return tuple(sorted({round(x) for x in np.linspace(0, last, config.num_records)}))


def observe(weights: deep_linear.Weights, source: jax.Array) -> dict[str, jax.Array]:
    """What is recorded of a network: sizes, alignment, balance and loss."""
    predictor = deep_linear.predictor(weights)
    columns = [w if w.ndim == 2 else w[:, None] for w in weights]
    spectra = [jnp.linalg.svd(w, compute_uv=False) for w in columns]
    second = jnp.stack([s[1] if s.shape[0] > 1 else jnp.zeros_like(s[0]) for s in spectra])
    imbalance = deep_linear.imbalance(weights)
    return {
        "norm": jnp.linalg.norm(predictor),
        "alignment": linalg.cosine(predictor, source),
        "loss": jnp.sum((predictor - source) ** 2),
        "singular_value": jnp.stack([s[0] for s in spectra]),
        "second_singular_value": second,
        "start_norm": _start_norm(weights, source),
        "imbalance": jnp.max(imbalance) if len(weights) > 1 else jnp.zeros(()),
    }


def _start_norm(weights: deep_linear.Weights, source: jax.Array) -> jax.Array:
    """The size from which the closed form starts: |beta| at depth 1, the growing mode at depth 2."""
    unit = source / jnp.linalg.norm(source)
    if len(weights) == 1:
        return weights[0] @ unit
    if len(weights) == 2:
        return theory.effective_start_norm(weights[0].T @ unit, weights[1])
    return jnp.full((), jnp.nan, unit.dtype)


def _theory(config: PretrainingConfig, results: xr.Dataset, time: np.ndarray) -> np.ndarray:
    """|beta|(t) by the closed form, instance by instance; NaN before a deep chain is aligned.

    Depths 1 and 2 start from the weights themselves. Deeper chains are compared from their first aligned record on.
    """
    depth, source = config.network.depth, config.task.source_norm
    norms, rows = results.norm.values, []
    for i, start in enumerate(results.start_norm.values):
        origin = 0.0
        if depth > 2:
            ready = np.flatnonzero((results.alignment.values[i] > ALIGNED) & (norms[i] < ALIGNED * source))
            if ready.size == 0:
                rows.append(np.full(time.shape, np.nan))
                continue
            origin, start = time[ready[0]], norms[i, ready[0]]
        elapsed = np.maximum(time - origin, 0.0)
        row = np.asarray(theory.pretraining_norm(elapsed, max(start, 1e-30), source_norm=source, depth=depth))
        rows.append(np.where(time >= origin, row, np.nan))
    return np.stack(rows)


if __name__ == "__main__":
    main(Pretraining)
