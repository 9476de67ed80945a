"""Networks pretrained on the digits 0 to 4 and moved to 5 to 9: every protocol trained, many pairs in parallel."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.advice import packages
from experiments.advice.config import RealDataConfig
from experiments.running import grid as _grid
from tlx import ensemble
from tlx.train import Optimizer, train

PROTOCOLS = ("null", "probe", "fine_tuning", "scratch", "lp_ft")  # the planner knows all but the last
CLASSES = 5
_PENALTIES = 10.0 ** np.arange(-5, 3)  # of the probe, relative to the mean eigenvalue of its kernel
_HEAD = 0.1  # scale of a new head, so that a moved network starts near the mean label


class Pair(NamedTuple):
    """What one lane returns: test errors and accuracies of PROTOCOLS, statuses of its runs, pretrained weights."""

    error: jax.Array
    accuracy: jax.Array
    test_se: jax.Array
    status: jax.Array
    params: Any


def start(key: jax.Array, width: int, head: float = 1.0) -> dict[str, Any]:
    """Weights of a network 64 -> width -> width -> 5, biases zero, hidden layers of variance 2/fan_in."""
    sizes = (64, width, width, CLASSES)
    scales = (2**0.5, 2**0.5, head)
    layers = {}
    for i, scale in enumerate(scales):
        weights = jax.random.normal(jax.random.fold_in(key, i), (sizes[i], sizes[i + 1]))
        layers[f"layer_{i}"] = {"bias": jnp.zeros(sizes[i + 1]), "kernel": scale * weights / sizes[i] ** 0.5}
    return layers


def features(params: dict[str, Any], inputs: jax.Array) -> jax.Array:
    """Activations of the last hidden layer (ReLU)."""
    for name in ("layer_0", "layer_1"):
        inputs = jax.nn.relu(inputs @ params[name]["kernel"] + params[name]["bias"][None, :])
    return inputs


def apply(params: dict[str, Any], inputs: jax.Array) -> jax.Array:
    """Outputs (n, 5): one indicator a class."""
    head = params["layer_2"]
    return features(params, inputs) @ head["kernel"] + head["bias"][None, :]


def with_head(params: dict[str, Any], kernel: jax.Array, bias: jax.Array) -> dict[str, Any]:
    """The same network with another head."""
    return {**params, "layer_2": {"bias": bias, "kernel": kernel}}


def probe(params: dict[str, Any], inputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Head (kernel, bias) of ridge regression on the features at the penalty of least leave-one-out error."""
    found = features(params, inputs)
    mean, level = found.mean(axis=0), targets.mean(axis=0)
    rows, left = found - mean[None, :], targets - level[None, :]
    values, vectors = jnp.linalg.eigh(rows @ rows.T)
    values = jnp.maximum(values, 0.0)

    def at(penalty):
        kept = values / (values + penalty * jnp.mean(values))
        fit = (vectors * kept[None, :]) @ (vectors.T @ left)
        used = jnp.sum(vectors**2 * kept[None, :], axis=1) + 1 / len(left)
        return jnp.mean(jnp.sum(((left - fit) / (1 - used)[:, None]) ** 2, axis=1))

    penalties = jnp.asarray(_PENALTIES, values.dtype)
    best = penalties[jnp.argmin(jax.vmap(at)(penalties))] * jnp.mean(values)
    dual = (vectors / (values + best)[None, :]) @ (vectors.T @ left)
    kernel = rows.T @ dual
    return kernel, level - mean @ kernel


@functools.cache
def program(width: int, num_steps: int, pretraining_steps: int):
    """The function of one lane; the same object for the same numbers, so that it is compiled once a size."""

    def fitted(params, inputs, targets, rate, steps):
        def loss(weights):
            return jnp.mean(jnp.sum((apply(weights, inputs) - targets) ** 2, axis=1))

        return train(loss, params, Optimizer(rate, steps, name="adam", tolerance=0.0))

    def pair(shared, lane):
        pixels, targets, rate, source, key = shared
        key = jax.random.fold_in(key, lane["instance"])
        keys = [jax.random.fold_in(key, i) for i in range(3)]
        before = fitted(start(keys[0], width), pixels[source], targets[source], rate, pretraining_steps)
        inputs, labels = pixels[lane["rows"]], targets[lane["rows"]]
        head = probe(before.params, inputs, labels)
        probed = with_head(before.params, *head)
        new = start(keys[1], width, _HEAD)["layer_2"]
        begin = (with_head(before.params, **new), start(keys[2], width, _HEAD), probed)
        runs = [fitted(params, inputs, labels, rate, num_steps) for params in begin]
        ahead = [apply(params, pixels[lane["test"]]) for params in (probed, *(run.params for run in runs))]
        level = jnp.broadcast_to(labels.mean(axis=0)[None, :], ahead[0].shape)
        return _judged([level, *ahead], targets[lane["test"]], before, runs)

    return pair


def _judged(ahead, truth, before, runs) -> Pair:
    """Errors summed over the outputs, as the planner counts them."""
    rows = jnp.stack([jnp.sum((found - truth) ** 2, axis=1) for found in ahead])
    right = jnp.stack([jnp.mean(found.argmax(axis=1) == truth.argmax(axis=1)) for found in ahead])
    status = jnp.stack([before.status, *(run.status for run in runs)])
    return Pair(rows.mean(axis=1), right, rows.std(axis=1) / rows.shape[1] ** 0.5, status, before.params)


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, indicators of the digit modulo five, rows of the source (0 to 4), rows of the target (5 to 9)."""
    pixels, labels = packages.digits()
    return (
        pixels,
        np.eye(CLASSES, dtype=np.float32)[labels % CLASSES],
        np.flatnonzero(labels < 5),
        np.flatnonzero(labels >= 5),
    )


def split(count: int, instance: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a pilot of the target, with every class in it, and 250 others to test on."""
    rows = data()[3]
    classes = packages.digits()[1][rows]
    random = np.random.default_rng([seed, 7, count, instance])
    order = random.permutation(len(rows))
    first = [order[np.flatnonzero(classes[order] == digit)[:2]] for digit in range(CLASSES, 2 * CLASSES)]
    chosen = np.concatenate(first)
    rest = order[~np.isin(order, chosen)]
    return rows[np.concatenate([chosen, rest[: count - len(chosen)]])], rows[rest[-250:]]


def pairs(config: RealDataConfig, count: int, instances: np.ndarray, progress) -> Pair:
    """Train every protocol on a pilot of `count` images, for every instance."""
    chosen = config.digits
    pixels, targets, source, _ = data()
    splits = [split(count, int(i), config.seed) for i in instances]
    lanes = {
        "instance": instances.astype(np.int32),
        "rows": np.stack([rows for rows, _ in splits]).astype(np.int32),
        "test": np.stack([test for _, test in splits]).astype(np.int32),
    }
    shared = (
        jnp.asarray(pixels),
        jnp.asarray(targets),
        jnp.asarray(chosen.learning_rate, jnp.float32),
        jnp.asarray(source),
        jax.random.key(config.seed),
    )
    function = program(chosen.width, chosen.num_steps, chosen.pretraining_steps)
    layout = _grid.layout(config.ensemble, len(instances))
    return ensemble.run(function, lanes, shared, layout=layout, progress=lambda done, total: progress(4 * done))


def advice(config: RealDataConfig, count: int, instance: int, params: Any) -> dict[str, np.ndarray]:
    """What `plan_network` says to the pilot of one pair: its recommendation and its held-out errors."""
    from tlx import planner

    rows, _ = split(count, instance, config.seed)
    pixels, labels = packages.digits()
    plan = planner.plan_network(
        apply, params, pixels[rows], labels[rows], classes=True, sample_sizes=np.array([float(count)]),
        tolerance=config.tolerance, confidence=config.confidence, num_fresh=2,
        fresh=functools.partial(start, width=config.digits.width),
    )  # fmt: skip
    said = plan.recommendation
    curves = [plan.curves[name] for name in PROTOCOLS[:-1]]
    return {
        "advice": np.array(PROTOCOLS.index(said) if said in PROTOCOLS else -1),
        "held_out": np.array([*(curve.error for curve in curves), np.nan]),
        "held_out_se": np.array([*(curve.standard_error for curve in curves), np.nan]),
    }
