"""How long a lane will take, from its trace alone: nothing is compiled or run.

The operations of a trace are counted at the rates of one CPU core. What stands in a loop whose length is known is
counted that often; an open-ended loop within an open-ended loop is training (`tlx.train`), and its inside one step.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

# Operations a second of one CPU core, as the benchmarks find them: matrix products that reuse what they read,
# products that stream a matrix once, decompositions, and everything else.
PRODUCT, STREAM, DECOMPOSITION, OTHER = 40e9, 6e9, 12e9, 4e9
STEP_SECONDS = 3e-6  # of a loop's own
OPEN_LOOP = 8  # turns of a loop that is not training: blocks of rows, iterations of a root
REUSE = 8  # both sides of a product this wide: it is a matrix product
CUBES = {"eigh": 9.0, "svd": 20.0, "qr": 1.4, "cholesky": 0.35, "lu": 0.7, "householder_product": 1.4}  # times n^3


class Work(NamedTuple):
    """Seconds of one CPU core: once, and per training step."""

    once: float
    per_step: float

    def __add__(self, other: "Work") -> "Work":
        return Work(self.once + other.once, self.per_step + other.per_step)

    def times(self, count: float) -> "Work":
        """This work `count` times."""
        return Work(self.once * count, self.per_step * count)


def of(function: Callable, *arguments: Any) -> Work:
    """The work of a call of `function` on arguments of these shapes."""
    return _jaxpr(jax.make_jaxpr(function)(*arguments).jaxpr)


def _jaxpr(jaxpr: Any) -> Work:
    total = Work(0.0, 0.0)
    for equation in jaxpr.eqns:
        total += _equation(equation)
    return total


def _equation(equation: Any) -> Work:
    name, inner = equation.primitive.name, _inner(equation)
    if name == "while":
        jaxpr = equation.params["body_jaxpr"].jaxpr
        body, inside = _jaxpr(jaxpr), [_jaxpr(e.params["body_jaxpr"].jaxpr) for e in jaxpr.eqns if _is_loop(e)]
        if inside:  # training: blocks of steps, and between them a look at how it goes
            return Work(0.0, max(loop.once for loop in inside) + STEP_SECONDS)
        return Work(body.once * OPEN_LOOP, body.per_step)
    if name == "scan":
        body, length = _jaxpr(equation.params["jaxpr"].jaxpr), equation.params["length"]
        carried = equation.params["num_carry"] > 0  # one run in segments, not a run for each row
        return Work(body.once * length, body.per_step * (1 if carried else length))
    if name == "cond":
        return max((_jaxpr(branch) for branch in inner), key=lambda work: work.once + 1e3 * work.per_step)
    if inner:
        return sum((_jaxpr(part) for part in inner), Work(0.0, 0.0))
    return Work(_seconds(equation), 0.0)


def _is_loop(equation: Any) -> bool:
    return equation.primitive.name == "while"


def _inner(equation: Any) -> list[Any]:
    found = []
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                found.append(part)
    return found


def _seconds(equation: Any) -> float:
    name = equation.primitive.name
    shapes = [v.aval.shape for v in equation.invars if hasattr(v.aval, "shape")]
    sizes = [math.prod(v.aval.shape) for v in equation.outvars if hasattr(v.aval, "shape")]
    if name == "dot_general":
        (left, _), (batch, _) = equation.params["dimension_numbers"]
        contracted = math.prod(shapes[0][i] for i in left)
        shared = math.prod(shapes[0][i] for i in batch)
        wide = min(math.prod(shape) / max(contracted * shared, 1) for shape in shapes[:2])
        return 2.0 * sizes[0] * contracted / (PRODUCT if wide >= REUSE else STREAM)
    if name in CUBES:
        *many, rows, columns = shapes[0]
        return CUBES[name] * math.prod(many) * rows * columns * min(rows, columns) / DECOMPOSITION
    if name == "triangular_solve":
        return shapes[0][-1] * math.prod(shapes[1]) / STREAM
    return sum(sizes) / OTHER
