"""A network as the planner sees it: its outputs, the layer that reads them off, and empirical tangent kernels.

The tangent features of a network at weights w are the gradients of its outputs, phi(x) = df(x; w)/dw; ridge regression
on them is training the network's linearisation. With several outputs the kernel is the mean over outputs,
K(x, x') = (1/o) sum_j phi_j(x) . phi_j(x'), which is exact for the last layer and an approximation for the others.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from tlx._checks import require

_BLOCK = 2**26  # numbers of a block of gradients held at once (256 MB)
_PROBES = 8


class Network(NamedTuple):
    """`apply(params, inputs) -> (n, o)`; `fresh(key)` draws untrained weights; how it draws them, in words."""

    apply: Callable[[Any, jax.Array], jax.Array]
    params: Any
    fresh: Callable[[jax.Array], Any]
    origin: str


def resolve(model, params, inputs: np.ndarray, fresh=None) -> Network:
    """The network behind a Flax linen module with its variables, a Flax nnx module, or a pure apply function."""
    init, origin = None, "given"
    if isinstance(model, nnx.Module):
        graph, params, rest = nnx.split(model, nnx.Param, ...)

        def plain(weights, x):
            return nnx.merge(graph, weights, rest)(x)
    elif isinstance(model, linen.Module):
        require(params is not None, "params is None: give the variables of the linen module, as init returned them.")
        held = dict(params) if "params" in params else {"params": params}
        params, others = held.pop("params"), held

        def plain(weights, x):
            return model.apply({"params": weights, **others}, x)

        def init(key):
            return model.init(key, jnp.asarray(inputs[:1]))["params"]

        origin = "by the module's own initialisers"
    else:
        require(
            callable(model), f"model is {type(model).__name__}: give a Flax module or a function of (params, inputs)."
        )
        require(params is not None, "params is None: give the weights that the apply function takes.")
        plain = model
    if fresh is None and init is None:
        params_now, origin = params, "by shuffling the entries of each array of weights (give fresh= for another start)"

        def init(key):
            return _shuffled(key, params_now)

    return Network(_two_dimensional(plain), params, fresh or init, origin)


def outputs(network: Network, inputs: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The network's outputs (n, o), checked for shape, finiteness and, if given, against the labels' width."""
    found = np.asarray(network.apply(network.params, jnp.asarray(inputs)), dtype=float)
    require(len(found) == len(inputs), f"the network returns {len(found)} rows for {len(inputs)} inputs.")
    bad = np.argwhere(~np.isfinite(found))
    require(len(bad) == 0, f"the network's output is not finite in row {bad[0][0] if len(bad) else 0}.")
    if labels is not None:
        require(
            found.shape == labels.shape,
            f"the network has {found.shape[1]} outputs and the labels have {labels.shape[1]} columns: they must agree; "
            "put a new last layer on the network, or pass classes=True for integer classes.",
        )
    return found


def head_of(network: Network, inputs: np.ndarray, head: str | None = None) -> list[int]:
    """Positions of the leaves of the layer that reads the outputs off: the last one in which they are affine.

    A layer qualifies if the outputs are affine in its weights and do not depend on the inputs once those are zero.
    """
    paths, leaves, tree = _leaves(network.params)
    groups: dict[str, list[int]] = {}
    for position, path in enumerate(paths):
        groups.setdefault("/".join(path[:-1]) or path[-1], []).append(position)
    if head is not None:
        found = [i for i, path in enumerate(paths) if head in path]
        require(bool(found), f"head = {head!r} is no layer of the network: it has {', '.join(groups)}.")
        return found
    few = jnp.asarray(inputs[:_PROBES])
    fitting = [name for name, group in groups.items() if _reads_off(network, leaves, tree, group, few)]
    require(
        bool(fitting), f"no layer of {', '.join(groups)} reads the outputs off linearly: name the last one with head=."
    )
    return groups[max(fitting, key=_natural)]


def kernels(network: Network, params: Any, inputs: np.ndarray, head: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Tangent kernels (n, n) of the head alone and of all weights, in blocks of rows that bound the memory."""
    count = len(inputs)
    weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    rows = max(1, min(count, _BLOCK // (2 * max(weights, 1)) if weights * count > _BLOCK else count))
    last, whole = np.zeros((count, count)), np.zeros((count, count))
    width = network.apply(params, jnp.asarray(inputs[:1])).shape[1]
    for output in range(width):
        for at in range(0, count, rows):
            for other in range(at, count, rows):
                one, two = (jnp.asarray(inputs[i : i + rows]) for i in (at, other))
                parts = _block(network.apply, tuple(head), output, params, one, None if at == other else two)
                for total, part in zip((last, whole), parts, strict=True):
                    total[at : at + rows, other : other + rows] += np.asarray(part) / width
                    if at != other:
                        total[other : other + rows, at : at + rows] += np.asarray(part).T / width
    return last, whole


def head_features(network: Network, inputs: np.ndarray, head: list[int]) -> np.ndarray:
    """What the head multiplies, (n, k): gradients of the first output by the head's weights that vary over the rows."""
    gradients = _gradients(network.apply, 0, network.params, jnp.asarray(inputs))
    rows = np.concatenate([np.asarray(gradients[i]).reshape(len(inputs), -1) for i in head], axis=1)
    return rows[:, np.ptp(rows, axis=0) > 0].astype(float)


def _gradients(apply, output, params, inputs):
    def one(x):
        return jax.tree.leaves(jax.grad(lambda p: apply(p, x[None])[0, output])(params))

    return jax.vmap(one)(inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _block(apply, head, output, params, one, two):
    """Kernel blocks of the head and of all weights between two sets of rows (one set if `two` is None)."""
    first = _gradients(apply, output, params, one)
    second = first if two is None else _gradients(apply, output, params, two)
    grams = [
        jnp.matmul(a.reshape(len(a), -1), b.reshape(len(b), -1).T, precision="highest")
        for a, b in zip(first, second, strict=True)
    ]
    return sum(grams[i] for i in head), sum(grams)


def _reads_off(network: Network, leaves, tree, group, inputs) -> bool:
    def at(scale, shift):
        key = jax.random.key(0)
        changed = list(leaves)
        for i in group:
            changed[i] = scale * leaves[i] + shift * jax.random.normal(jax.random.fold_in(key, i), leaves[i].shape)
        return np.asarray(network.apply(jax.tree.unflatten(tree, changed), inputs), dtype=float)

    up, down, here, zero = at(1.0, 0.5), at(1.0, -0.5), at(1.0, 0.0), at(0.0, 0.0)
    size = np.max(np.abs(up - here)) + 1e-30
    return bool(np.max(np.abs(up + down - 2 * here)) < 1e-3 * size and np.max(np.ptp(zero, axis=0)) < 1e-6 * size)


def _leaves(params):
    found, tree = jax.tree.flatten_with_path(params)
    names = [tuple(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path) for path, _ in found]
    return [name or ("weights",) for name in names], [leaf for _, leaf in found], tree


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts Dense_10 after Dense_2."""
    digits = "".join(c if c.isdigit() else " " for c in name).split()
    letters = "".join(" " if c.isdigit() else c for c in name)
    return [(0, letters), *((int(d), "") for d in digits)]


def _shuffled(key, params):
    leaves, tree = jax.tree.flatten(params)
    mixed = [
        jax.random.permutation(jax.random.fold_in(key, i), leaf.ravel()).reshape(leaf.shape)
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(tree, mixed)


def _two_dimensional(apply):
    def wrapped(params, inputs):
        found = apply(params, inputs)
        return found[:, None] if found.ndim == 1 else found.reshape(len(found), -1)

    return wrapped
