"""Any Flax module as a `Model`: its features are what enters the last dense layer, found by itself or named.

A dense layer that ends in one number is y = h.k + b. The output's derivative in (k, b) is then (h, 1), so that
the features of a network follow from its outputs alone, whatever kind of module it is, without running it in parts.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jaxtyping import Array, Float, PyTree

from tlx._checks import require
from tlx.nonlinear.models import Model

ROWS = 3  # of the trial that finds the last layer
TOLERANCE = 0.02  # relative


@dataclass(frozen=True)
class FlaxModel(Model):
    """A network made of a Flax module that ends in a dense layer with one output, with or without a bias.

    Attributes:
        module: a `flax.linen` module, or a function that makes a `flax.nnx` module from its `rngs` (a class will do).
            It maps inputs (n, ...) to (n,) or (n, 1), each row by itself: no batch normalisation, no dropout.
        input_shape: of one input, (8, 8, 1) for images, say. Rows that come flat are given this shape.
        last: the last layer's name, with / between the names of modules inside modules; None: found by itself.

    The features are (h, 1)/sqrt(m) with h what enters the last layer, the 1 only where it has a bias, and m their
    number; a new last layer has a new kernel and a new bias.
    """

    module: Any
    input_shape: tuple[int, ...]
    last: str | None = None

    def __post_init__(self) -> None:
        ok = isinstance(self.input_shape, tuple) and all(isinstance(n, int) and n > 0 for n in self.input_shape)
        require(
            ok and len(self.input_shape) > 0, f"input_shape = {self.input_shape!r} must be sizes, such as (8, 8, 1)."
        )
        _ = self._parts

    @property
    def dim(self) -> int:  # type: ignore[override]
        """Numbers in one input."""
        return math.prod(self.input_shape)

    def start(self, key: Array) -> PyTree:
        """The module's own start, in the precision in force."""
        dtype = jnp.result_type(float)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), self._parts.functions.start(key))

    def apply(self, weights: PyTree, inputs: Float[Array, "n ..."]) -> Float[Array, " n"]:
        """f(x)."""
        return _outputs(self._parts.functions, weights, inputs, self.input_shape)

    def features(self, weights: PyTree, inputs: Float[Array, "n ..."]) -> Float[Array, "n m"]:
        """(h, 1)/sqrt(m), the derivative of f in the last layer's kernel and bias."""
        functions, path = self._parts

        def output(last: dict[str, Array], row: Array) -> Array:
            return _outputs(functions, _with(weights, path, last), row[None], self.input_shape)[0]

        slopes = jax.vmap(jax.grad(output), (None, 0))(_at(weights, path), inputs)
        columns = [slopes["kernel"][:, :, 0], *([slopes["bias"]] if "bias" in slopes else [])]
        values = jnp.concatenate(columns, axis=1)
        return values / math.sqrt(values.shape[1])

    def refit(self, weights: PyTree, coefficients: Float[Array, " m"]) -> PyTree:
        """The same network with a new last layer."""
        path = self._parts.path
        old, scaled = _at(weights, path), coefficients / math.sqrt(coefficients.shape[0])
        count = old["kernel"].shape[0]
        new = {"kernel": scaled[:count, None], **({"bias": scaled[count:]} if "bias" in old else {})}
        return _with(weights, path, new)

    @property
    def _parts(self) -> "_Parts":
        return _parts(self)


class _Functions(NamedTuple):
    """A module as pure functions: key -> weights (nested dictionaries), and (weights, inputs) -> outputs."""

    start: Callable[[Array], PyTree]
    apply: Callable[[PyTree, Array], Array]


class _Parts(NamedTuple):
    functions: _Functions
    path: tuple[Any, ...]  # of the last layer in the weights


@functools.lru_cache(maxsize=64)
def _parts(model: FlaxModel) -> _Parts:
    with jax.ensure_compile_time_eval():
        functions = _linen(model) if isinstance(model.module, linen.Module) else _nnx(model.module)
        return _Parts(functions, _last_layer(model, functions))


def _linen(model: FlaxModel) -> _Functions:
    module = model.module
    example = jnp.zeros((1, *model.input_shape))

    def start(key: Array) -> PyTree:
        return module.init(key, example)["params"]

    found = set(jax.eval_shape(module.init, jax.random.key(0), example))
    more = ", ".join(sorted(found - {"params"}))
    require(not more, f"{code_name(module)} keeps {more} beside its weights; a network here is its weights alone.")
    return _Functions(start, lambda weights, inputs: module.apply({"params": weights}, inputs))


def _nnx(make: Any) -> _Functions:
    known = callable(make) and not isinstance(make, nnx.Module)
    require(known, f"module = {code_name(make)} is neither a linen module nor a function of rngs that makes an nnx "
            "module; pass the nnx class itself, or lambda rngs: Network(..., rngs=rngs).")  # fmt: skip
    graph, params, rest = nnx.split(make(rngs=nnx.Rngs(0)), nnx.Param, ...)

    def start(key: Array) -> PyTree:
        return nnx.to_pure_dict(nnx.state(make(rngs=nnx.Rngs(key)), nnx.Param))

    def apply(weights: PyTree, inputs: Array) -> Array:
        state = jax.tree.map(lambda leaf: leaf, params)
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state, rest)(inputs)

    return _Functions(start, apply)


def _outputs(functions: _Functions, weights: PyTree, inputs: Array, shape: tuple[int, ...]) -> Array:
    found = functions.apply(weights, inputs.reshape(inputs.shape[0], *shape))
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def _last_layer(model: FlaxModel, functions: _Functions) -> tuple[Any, ...]:
    """Where the weights hold the layer in which the output is linear, by a trial; a named one is tried as well."""
    key = jax.random.key(0)
    inputs = jax.random.normal(key, (ROWS, *model.input_shape))
    weights = functions.start(key)
    layers = dict(_dense(weights, ()))
    named = {path: layer for path, layer in layers.items() if model.last in (None, "/".join(map(str, path)))}
    kind = code_name(model.module)
    names = ", ".join("/".join(map(str, path)) for path in layers) or "none"
    require(bool(named), f"{kind} has no dense layer {model.last or ''} with one output; it has {names}.")
    output = jax.jit(lambda changed: _outputs(functions, changed, inputs, model.input_shape))
    linear = [path for path, layer in named.items() if _is_linear(output, weights, path, layer)]
    require(len(linear) > 0, f"{kind}: the output is not linear in its dense layer(s) {', '.join(_words(named))}; the "
            "last operation must be a dense layer with one output.")  # fmt: skip
    require(len(linear) == 1, f"{kind}: the output is linear in several layers, {', '.join(_words(linear))}; name the "
            "one to refit: FlaxModel(..., last=NAME).")  # fmt: skip
    return linear[0]


def _is_linear(output: Callable, weights: PyTree, path: tuple[Any, ...], layer: dict[str, Array]) -> bool:
    """Whether f is additive in the layer's kernel and bias: f(a) + f(b) = f(a + b) at random a and b."""
    keys = jax.random.split(jax.random.key(1), 2)
    one, two = ({n: jax.random.normal(jax.random.fold_in(k, len(n)), v.shape) for n, v in layer.items()} for k in keys)
    both = jax.tree.map(jnp.add, one, two)
    a, b, c = (np.asarray(output(_with(weights, path, new))) for new in (one, two, both))
    return bool(np.max(np.abs(a + b - c)) <= TOLERANCE * np.max(np.abs([a, b])) + 1e-12)


def _dense(weights: PyTree, path: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], dict[str, Array]]]:
    """Every layer that holds a kernel (m, 1), and perhaps a bias (1,), with its path."""
    if not isinstance(weights, dict):
        return []
    kernel, others = weights.get("kernel"), set(weights) - {"kernel", "bias"}
    if kernel is not None and not isinstance(kernel, dict) and not others:
        return [(path, weights)] if kernel.ndim == 2 and kernel.shape[1] == 1 else []
    return [found for name, part in weights.items() for found in _dense(part, (*path, name))]


def _at(weights: PyTree, path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda part, name: part[name], path, weights)


def _with(weights: PyTree, path: tuple[Any, ...], new: Any) -> PyTree:
    return new if not path else {**weights, path[0]: _with(weights[path[0]], path[1:], new)}


def _words(paths: Any) -> list[str]:
    return ["/".join(map(str, path)) for path in paths]


def code_name(given: Any) -> str:
    """The module and name of the function or class that an object is, or is made of."""
    given = given.func if isinstance(given, functools.partial) else given
    kind = given if hasattr(given, "__qualname__") else type(given)
    return f"{kind.__module__}.{kind.__qualname__}"
