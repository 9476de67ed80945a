"""A network of one's own: a residual network in Flax, pretrained on one teacher and moved to another."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import linen

from tlx import nonlinear
from tlx.train import Optimizer


class Hidden(linen.Module):
    """Two tanh layers with a connection around the second."""

    width: int

    @linen.compact
    def __call__(self, inputs):
        """The last hidden layer."""
        first = jnp.tanh(linen.Dense(self.width)(inputs))
        return first + jnp.tanh(linen.Dense(self.width)(first))


@dataclass(frozen=True)
class Residual:
    """What the protocols ask of a network; weights are any pytree."""

    dim: int
    width: int
    activation: str = "tanh"  # names the network in messages
    exact = False  # no closed forms: risks and overlaps are sampled

    @property
    def hidden(self):
        """The Flax module, a static description."""
        return Hidden(self.width)

    def start(self, key):
        """Untrained weights."""
        layers = self.hidden.init(key, jnp.zeros((1, self.dim)))
        return {"hidden": layers, "head": jnp.zeros(self.width)}

    def features(self, weights, inputs):
        """What linear transfer is fitted on, one row an input."""
        return self.hidden.apply(weights["hidden"], inputs) / jnp.sqrt(self.width)

    def apply(self, weights, inputs):
        """The network's outputs."""
        return self.features(weights, inputs) @ weights["head"]

    def refit(self, weights, coefficients):
        """The same features with a new head."""
        return {**weights, "head": coefficients}

    def scaled(self, optimizer):
        """The step size for this network."""
        return optimizer


def compare(dim=6, steps=400):
    """Risks of the protocols at two sample sizes, one pair of tasks: the source misses a third of the neurons."""
    rule = Optimizer(0.2, steps, momentum=0.9)
    setting = nonlinear.NonlinearSetting(
        Residual(dim, 16),
        num_teacher_neurons=3,
        sizes=(20, 80),
        pretraining="online",
        pretrain=rule,
        scratch=rule,
        fine_tune=rule,
        num_test=2000,
    )
    key = jax.random.key(0)
    prepared, report = jax.jit(nonlinear.prepare)(setting, key, 1 / 3)
    transfer, from_scratch = jax.jit(nonlinear.transfer), jax.jit(nonlinear.from_scratch)
    moved = [transfer(setting, key, prepared, size) for size in range(2)]
    alone = [from_scratch(setting, key, size) for size in range(2)]
    return report, moved, alone


if __name__ == "__main__":
    report, moved, alone = compare()
    print(f"loss on the source {report.source_loss:.3f}; share of the target outside {report.out_of_space:.3f}")
    for size, transfer, scratch in zip((20, 80), moved, alone, strict=True):
        risks = transfer.linear_transfer_risk, transfer.fine_tuning_risk, scratch.risk
        print(f"n = {size}: linear transfer {risks[0]:.3f}, fine-tuning {risks[1]:.3f}, scratch {risks[2]:.3f}")
