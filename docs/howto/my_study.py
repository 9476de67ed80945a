"""How far is the minimum-norm fit from the theory, for one size of sample after another?"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.running.app import main
from experiments.running.config import EnsembleConfig, StudyConfig
from experiments.running.study import Study, UserError, Verdict
from tlx import theory


@dataclass
class NormGrid:
    """Sizes of the target sample."""

    num_samples: list[int] = field(default_factory=lambda: [10, 20, 60, 80])


@dataclass
class NormConfig(StudyConfig):
    """The minimum-norm fit: sample size x instance."""

    dim: int = 40  # input dimension
    noise_std: float = 0.3  # label noise
    grid: NormGrid = field(default_factory=NormGrid)
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)


def fitted_risk(key, num_samples, dim, noise_std):
    """Draw one target sample and return the risk of the minimum-norm fit."""
    inputs_key, noise_key = jax.random.split(key)
    inputs = jax.random.normal(inputs_key, (num_samples, dim))
    target = jnp.zeros(dim).at[0].set(1.0)
    labels = inputs @ target + noise_std * jax.random.normal(noise_key, (num_samples,))
    return jnp.sum((jnp.linalg.pinv(inputs) @ labels - target) ** 2)


class NormStudy(Study):
    """How far is the minimum-norm fit from the theory? Sample size x instance."""

    Config = NormConfig

    def axes(self, config: NormConfig) -> dict[str, np.ndarray]:
        """Coordinates, and every check of the configuration."""
        near = [n for n in config.grid.num_samples if abs(n - config.dim) <= 1]
        if near:
            raise UserError(f"num_samples = {near[0]} is within 1 of dim = {config.dim}, where the mean is infinite.")
        return {
            "num_samples": np.asarray(config.grid.num_samples),
            "instance": np.arange(config.ensemble.num_instances),
        }

    def places(self, config: NormConfig) -> list[dict[str, slice]]:
        """One unit for each sample size."""
        return [{"num_samples": slice(i, i + 1)} for i in range(len(config.grid.num_samples))]

    def compute(self, config: NormConfig, place: dict[str, slice], progress: Any) -> dict[str, Any]:
        """All instances of one sample size."""
        (count,) = self.axes(config)["num_samples"][place["num_samples"]]
        instances = jnp.arange(config.ensemble.num_instances)
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(config.seed), i))(instances)
        risk = jax.vmap(lambda key: fitted_risk(key, int(count), config.dim, config.noise_std))(keys)
        progress(len(instances))
        cell = ("num_samples", "instance")
        return {"risk": (cell, np.asarray(risk)[None]), "status": (cell, np.zeros((1, len(instances)), np.int8))}

    def finish(self, config: NormConfig, data: Any) -> Any:
        """Theory beside the measurement."""
        exact = theory.scratch_risk(data.num_samples.values / config.dim, config.noise_std, dim=config.dim)
        data["theory"] = ("num_samples", np.asarray(exact))
        error = data.risk.std("instance", ddof=1) / np.sqrt(data.sizes["instance"])
        data["z"] = (data.risk.mean("instance") - data.theory) / error
        return data

    def verdicts(self, data: Any) -> list[Verdict]:
        """The distance from theory in standard errors."""
        return [Verdict("fit", data.z.values, lambda i: f"n = {data.num_samples.values[i]}", data.sizes["instance"])]


if __name__ == "__main__":
    main(NormStudy)
