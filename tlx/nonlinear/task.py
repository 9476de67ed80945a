"""What is learned: where inputs come from, and the source and target as functions of them.

A task is a static (hashable) description; what is drawn for one instance, such as the neurons of two teachers, are
parameters: a pytree, made from a key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, PyTree

from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear.teachers import TeacherPair, teacher_pair


class Pair(NamedTuple):
    """The parameters of one instance's source and target, each a pytree."""

    source: PyTree
    target: PyTree


@runtime_checkable
class Task(Protocol):
    """What the protocols need of a task. A task of one's own may derive from it, or just have its methods.

    It must be hashable, as a frozen dataclass is: compiled programs are kept by it.
    """

    def inputs(self, key: Array, num_samples: int) -> Float[Array, "n ..."]:
        """Independent draws of x, one a row."""
        raise NotImplementedError

    def pair(self, key: Array, amount: float | Array) -> Any:
        """(source, target): what is drawn for the instance that `key` names, as `Pair` or another named tuple.

        Args:
            key: identifies the instance; the target must depend on nothing else.
            amount: how far the source is from the target, traced.
        """
        raise NotImplementedError

    def function(self, parameters: PyTree, inputs: Float[Array, "n ..."]) -> Float[Array, " n"]:
        """The source or target with these parameters, one number a row."""
        raise NotImplementedError


@dataclass(frozen=True)
class TeacherTask(Task):
    """Two-layer teachers on x ~ N(0, I_d), E f_t^2 = 1.

    Attributes:
        dim: input dimension d.
        family, num_neurons, output_law, activation: see `tlx.nonlinear.teachers.teacher_pair`.
    """

    dim: int
    family: str
    num_neurons: int
    output_law: str
    activation: str

    def inputs(self, key: Array, num_samples: int) -> Float[Array, "n d"]:
        """x ~ N(0, I_d)."""
        return jax.random.normal(key, (num_samples, self.dim))

    def pair(self, key: Array, amount: float | Array) -> TeacherPair:
        """The instance's teachers."""
        law = {"dim": self.dim, "num_neurons": self.num_neurons, "output_law": self.output_law}
        return teacher_pair(key, self.family, amount, **law, activation=self.activation)

    def function(self, parameters: TwoLayer, inputs: Float[Array, "n d"]) -> Float[Array, " n"]:
        """A teacher's outputs."""
        return mean_field.apply(parameters, inputs, self.activation)


class Drawn(NamedTuple):
    """The parameters of a `CustomTask`: the instance's key, and the amount (None: of the target)."""

    key: Array
    amount: float | Array | None = None


@dataclass(frozen=True)
class CustomTask(Task):
    """A task made of three functions, each defined once at the top of a module (they are compared by identity).

    Attributes:
        sample_inputs: (key, number of rows) -> independent draws of x, one a row: (n,) + any shape.
        source: (key, amount, inputs) -> f_s, shape (n,); the key is the instance's, and what is random in f_s is drawn
            from it; `amount` is traced.
        target: (key, inputs) -> f_t, shape (n,), with the same key as the source.

    Risks are in units of f_t^2: scale the target to E f_t^2 = 1 for risks relative to it.
    """

    sample_inputs: Callable[[Array, int], Array]
    source: Callable[[Array, Any, Array], Array]
    target: Callable[[Array, Array], Array]

    def inputs(self, key: Array, num_samples: int) -> Float[Array, "n ..."]:
        """Independent draws of x, one a row."""
        return self.sample_inputs(key, num_samples)

    def pair(self, key: Array, amount: float | Array) -> Pair:
        """The key and the amount: the functions draw what they need from them."""
        return Pair(Drawn(key, amount), Drawn(key))

    def function(self, parameters: Drawn, inputs: Float[Array, "n ..."]) -> Float[Array, " n"]:
        """The source, or without an amount the target."""
        if parameters.amount is None:
            return self.target(parameters.key, inputs)
        return self.source(parameters.key, parameters.amount, inputs)
