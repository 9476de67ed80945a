"""Source and target teachers: two-layer networks made by removing, rotating or mixing neurons.

The target is f_t(x) = (1/k) sum_j a_j phi(v_j.x) with unit neurons, scaled to E f_t^2 = 1, so that risks are relative
and the noise is in units of the signal. The source is a changed copy; `amount` 0 is the target itself.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from tlx import _keys
from tlx._checks import check_angle, check_choice, check_count, check_range, require
from tlx.networks.mean_field import TwoLayer, inner_product

FAMILIES = ("removal", "rotation", "mixture")
OUTPUT_LAWS = ("signs", "ones", "gaussian")


class TeacherPair(NamedTuple):
    """Two teachers on the same inputs x ~ N(0, I_d).

    Attributes:
        source: what the network is pretrained on.
        target: what it is transferred to, E f_t^2 = 1.
    """

    source: TwoLayer
    target: TwoLayer


def teacher(key: Array, *, dim: int, num_neurons: int, output_law: str, activation: str) -> TwoLayer:
    """A random teacher: neurons uniform on the unit sphere, output weights from a law, scaled to E f^2 = 1.

    Args:
        key: names the draw.
        dim: input dimension d.
        num_neurons: k >= 1.
        output_law: "signs" (+-1 with probability 1/2), "ones" (all equal: f is then mostly its mean), "gaussian".
        activation: "relu", "erf" or "linear" (the scaling is exact).
    """
    check_count("dim", dim)
    check_count("number of teacher neurons", num_neurons)
    check_choice("output law", output_law, OUTPUT_LAWS)
    neurons = jax.random.normal(_keys.named(key, "neurons"), (num_neurons, dim))
    neurons = neurons / jnp.linalg.norm(neurons, axis=1, keepdims=True)
    weights_key = _keys.named(key, "output weights")
    weights = {
        "signs": jax.random.rademacher(weights_key, (num_neurons,), neurons.dtype),
        "ones": jnp.ones(num_neurons, neurons.dtype),
        "gaussian": jax.random.normal(weights_key, (num_neurons,)),
    }[output_law]
    raw = TwoLayer(neurons, weights)
    return TwoLayer(neurons, weights / jnp.sqrt(inner_product(raw, raw, activation)))


def teacher_pair(
    key: Array,
    family: str,
    amount: float | Array,
    *,
    dim: int,
    num_neurons: int,
    output_law: str = "signs",
    activation: str = "relu",
) -> TeacherPair:
    """A target and the source made from it; one key gives one target and a whole family of sources.

    Args:
        key: identifies the instance.
        family: "removal": a fraction `amount` = mu in [0, 1) of the target's neurons is left out, the others keep
            their weights (the paper's; round(mu k) neurons, nested as mu grows). "rotation": every neuron is turned
            by the angle `amount` = theta in [0, pi], each in a random direction of its own. "mixture":
            f_s = cos(theta) f_t + sin(theta) g, g an independent teacher made orthogonal to f_t, E g^2 = 1.
        amount: mu or theta, see `family`; may be traced.
        dim: d; at least 2 for a rotation.
        num_neurons: k; a removal must leave at least one.
        output_law, activation: see `teacher`.
    """
    check_choice("family", family, FAMILIES)
    law = {"dim": dim, "num_neurons": num_neurons, "output_law": output_law, "activation": activation}
    target = teacher(_keys.named(key, "target"), **law)
    check_amount(family, amount, num_neurons)
    make = {"removal": _removal, "rotation": _rotation, "mixture": _mixture}[family]
    return TeacherPair(make(_keys.named(key, family), target, amount, law), target)


def check_amount(family: str, amount: float | Array, num_neurons: int) -> None:
    """Refuse a source without neurons, and fractions or angles out of range."""
    if family != "removal":
        check_angle(f"{family} angle", amount)
        return
    check_range("removed fraction", amount, 0.0, 1.0)
    most = 1 - 1 / num_neurons
    remedy = f"A source needs a neuron left: with {num_neurons} neurons remove at most {most:.4g} of them."
    check_range("removed fraction", amount, 0.0, 1 - 0.5 / num_neurons - 1e-9, remedy=remedy)


def _removal(key: Array, target: TwoLayer, fraction: float | Array, law: dict) -> TwoLayer:
    count = law["num_neurons"]
    rank = jax.random.permutation(key, count)
    kept = rank >= jnp.round(fraction * count)
    return TwoLayer(target.neurons, jnp.where(kept, target.output_weights, 0))


def _rotation(key: Array, target: TwoLayer, angle: float | Array, law: dict) -> TwoLayer:
    require(law["dim"] > 1, "dim = 1 leaves no direction to rotate into; take dim >= 2.")
    other = jax.random.normal(key, target.neurons.shape)
    along = jnp.sum(other * target.neurons, axis=1, keepdims=True)
    other = other - along * target.neurons
    other = other / jnp.linalg.norm(other, axis=1, keepdims=True)
    return TwoLayer(jnp.cos(angle) * target.neurons + jnp.sin(angle) * other, target.output_weights)


def _mixture(key: Array, target: TwoLayer, angle: float | Array, law: dict) -> TwoLayer:
    other = teacher(key, **law)
    shared = inner_product(other, target, law["activation"])
    scale = 1 / jnp.sqrt(1 - shared**2)  # of g = (other - shared * target), which has norm sqrt(1 - shared^2)
    of_target = jnp.cos(angle) - jnp.sin(angle) * scale * shared
    weights = jnp.concatenate([of_target * target.output_weights, jnp.sin(angle) * scale * other.output_weights])
    return TwoLayer(jnp.concatenate([target.neurons, other.neurons]), 2 * weights)  # the mean is over 2k neurons
