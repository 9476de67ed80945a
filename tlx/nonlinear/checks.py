"""A network or task of one's own is tried once, on three rows, before anything is computed with it.

Each refusal is one sentence that names the class, what was expected and what came.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from tlx._checks import require
from tlx.nonlinear.flax_model import FlaxModel, code_name
from tlx.nonlinear.models import MeanField, Model, MultiLayer
from tlx.nonlinear.task import CustomTask, Task, TeacherTask
from tlx.nonlinear.teachers import check_amount
from tlx.train import Optimizer

ROWS = 3
TOLERANCE = 0.02  # relative to the largest number: coarse products of accelerators included
MODEL = ("dim", "start", "apply", "features", "refit", "scaled")
TASK = ("inputs", "pair", "function")


def check_model(model: Any) -> None:
    """Refuse what lacks a member of `Model`, or cannot be compared with another."""
    _check_members("model", model, MODEL)


def check_task(task: Any) -> None:
    """Refuse what lacks a member of `Task`, or cannot be compared with another."""
    _check_members("task", task, TASK)


def check_together(model: Model, task: Task) -> None:
    """Refuse a model or task whose methods return what the protocols cannot use; library pairs are known to work."""
    if not (isinstance(model, MeanField | MultiLayer) and isinstance(task, TeacherTask)):
        _trial(model, task)


def check_amounts(task: Task, amounts: Any) -> None:
    """Refuse amounts at which the source has no finite value, or that are out of range for teachers."""
    if isinstance(task, TeacherTask):
        for amount in np.ravel(amounts):
            check_amount(task.family, amount, task.num_neurons)
        return
    key, inputs = jax.random.key(0), _trial_of_task(task)
    source = jax.jit(lambda amount: task.function(task.pair(key, amount).source, inputs))
    for amount in np.ravel(amounts).astype(inputs.dtype):
        _finite(name_of(task), f"function of the source at amount {amount:.4g}", source(amount))


def _check_members(kind: str, given: Any, members: tuple[str, ...]) -> None:
    name = name_of(given)
    require(not isinstance(given, type), f"{name} is a class, where a {kind} is an object of it; call it.")
    missing = [member for member in members if not hasattr(given, member)]
    need = f"a {kind} has {', '.join(members)} (see tlx.nonlinear.{kind.capitalize()})"
    require(not missing, f"{name} lacks {', '.join(missing)}: {need}.")
    for member in members:
        require(member == "dim" or callable(getattr(given, member)), f"{name}: {member} is not a method; {need}.")
    try:
        hash(given)
    except TypeError:
        raise ValueError(f"{name} is not hashable, which a {kind} must be; make it a frozen dataclass.") from None


@functools.lru_cache(maxsize=64)
def _trial(model: Model, task: Task) -> None:
    with jax.ensure_compile_time_eval():
        _try_model(model, jax.random.key(0), _trial_of_task(task))


@functools.lru_cache(maxsize=64)
def _trial_of_task(task: Task) -> Array:
    """The inputs of the trial."""
    with jax.ensure_compile_time_eval():
        key = jax.random.key(0)
        inputs = _called(task, "inputs", lambda: task.inputs(key, ROWS), "(key, 3)")
        _check_array(name_of(task), "inputs", inputs, (ROWS, *jnp.shape(inputs)[1:]), "an input a row")
        _finite(name_of(task), "inputs", inputs)
        _try_task(task, key, inputs)
        return inputs


def _try_task(task: Task, key: Array, inputs: Array) -> None:
    amount = jax.ShapeDtypeStruct((), inputs.dtype)
    pair = _traced(task, "pair", task.pair, key, amount)
    sides = hasattr(pair, "source") and hasattr(pair, "target")
    require(sides, f"{name_of(task)}: pair returned a {type(pair).__name__}, expected a Pair(source, target).")
    for side in ("source", "target"):
        values = _traced(task, f"function of the {side}", task.function, getattr(pair, side), inputs)
        _check_array(name_of(task), f"function of the {side}", values, (ROWS,), "one number a row")
    target = jax.jit(lambda: task.function(task.pair(key, 0.0).target, inputs))()
    _finite(name_of(task), "function of the target", target)


def _try_model(model: Model, key: Array, inputs: Array) -> None:
    name = name_of(model)
    weights = _traced(model, "start", model.start, key)
    leaves = jax.tree.leaves(weights)
    real = bool(leaves) and all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)
    require(real, f"{name}: start returned {_shapes(weights)}, expected floating-point weights.")
    _check_array(name, "apply", _traced(model, "apply", model.apply, weights, inputs), (ROWS,), "one number a row")
    features = _traced(model, "features", model.features, weights, inputs)
    count = (*features.shape, 0)[1] if hasattr(features, "shape") else 0
    _check_array(name, "features", features, (ROWS, max(count, 1)), "m >= 1 features a row")
    coefficients = jax.ShapeDtypeStruct((count,), features.dtype)
    refitted = _traced(model, "refit", model.refit, weights, coefficients)
    like: Any = jax.tree.structure(weights)
    same = like == jax.tree.structure(refitted) and _shapes(refitted) == _shapes(weights)
    require(
        same, f"{name}: refit returned {_shapes(refitted)}, expected weights as start made them: {_shapes(weights)}."
    )
    rule = model.scaled(Optimizer())
    require(isinstance(rule, Optimizer), f"{name}: scaled returned a {type(rule).__name__}, expected an Optimizer.")
    _try_values(model, key, inputs, count)


def _try_values(model: Model, key: Array, inputs: Array, count: int) -> None:
    name = name_of(model)

    @jax.jit
    def small(rows):
        weights = model.start(key)
        features = model.features(weights, rows)
        coefficients = jax.random.normal(key, (count,), features.dtype)
        refitted = model.apply(model.refit(weights, coefficients), rows)
        alone = jax.vmap(lambda row: model.apply(weights, row[None])[0])(rows)
        return model.apply(weights, rows), alone, features, refitted, features @ coefficients

    outputs, alone, features, refitted, wanted = map(np.asarray, small(inputs))
    for member, values in (("apply", outputs), ("features", features), ("apply after refit", refitted)):
        _finite(name, member, values)
    own = "expected an output that depends on its own row alone (no batch normalisation, no dropout)"
    require(_close(alone, outputs), f"{name}: apply gave {alone[0]:.4g} for one row alone and {outputs[0]:.4g} for the "
            f"same row among others; {own}.")  # fmt: skip
    require(_close(refitted, wanted), f"{name}: after refit, apply gave {refitted[0]:.4g} where features @ "
            f"coefficients is {wanted[0]:.4g}; expected the same number.")  # fmt: skip


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.max(np.abs(found - wanted)) <= TOLERANCE * np.max(np.abs(wanted)) + 1e-12)


def _traced(owner: Any, member: str, function: Callable, *arguments: PyTree) -> Any:
    """What a method returns, as shapes: it must work on traced values."""
    return _called(owner, member, lambda: jax.eval_shape(function, *arguments), _shapes(arguments))


def _called(owner: Any, member: str, call: Callable[[], Any], given: str) -> Any:
    try:
        return call()
    except Exception as error:  # whatever someone else's code raises
        said = (str(error).strip().splitlines() or [""])[0].rstrip(".")
        raise ValueError(f"{name_of(owner)}: {member} raised {type(error).__name__} on {given}: {said}.") from error


def _check_array(name: str, member: str, values: Any, shape: tuple[int, ...], meaning: str) -> None:
    found = getattr(values, "shape", None)
    wanted = f"expected {shape}, {meaning}"
    require(found is not None, f"{name}: {member} returned a {type(values).__name__}, {wanted}.")
    require(found == shape, f"{name}: {member} returned shape {found} for {ROWS} rows, {wanted}.")
    real = jnp.issubdtype(values.dtype, jnp.floating)
    require(real, f"{name}: {member} returned {values.dtype}, expected floating-point numbers.")


def _finite(name: str, member: str, values: Any) -> None:
    array = np.asarray(values)
    good = np.isfinite(array)
    bad = "" if good.all() else array[~good].ravel()[0]
    require(good.all(), f"{name}: {member} returned {bad} on a trial of {ROWS} rows, expected finite numbers.")


def _shapes(tree: PyTree) -> str:
    shapes = [str(tuple(jnp.shape(leaf))) for leaf in jax.tree.leaves(tree)]
    return f"arrays of shapes {', '.join(shapes)}" if shapes else "nothing"


def name_of(given: Any) -> str:
    """The code to look at: the Flax module or the functions that one of this library's adapters holds."""
    code = given.module if isinstance(given, FlaxModel) else given
    return code_name(code.target if isinstance(code, CustomTask) else code)
