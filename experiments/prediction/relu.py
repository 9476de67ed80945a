"""Two-layer ReLU pairs: measured risks, overlap, feature scores and the distances between the laws of each task."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.prediction import tasks as tasks
from experiments.prediction.config import PredictorsConfig
from experiments.prediction.linear import between, in_order, scores
from experiments.prediction.tasks import Task
from experiments.running import grid as _grid
from experiments.running.study import Progress
from tlx import discrepancy, ensemble, keys, nonlinear
from tlx.discrepancy import FunctionLaw
from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear import protocols
from tlx.nonlinear.overlap import cutoff_overlap, kept


def lane(shared: Any, task: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Pretrain, transfer and train one pair, and look at its learned features and its laws; see `ensemble.run`."""
    setting, nodes, key, index = shared
    setting = dataclasses.replace(setting, noise_std=task["noise"])
    key = keys.lane(key, task["draw"], task["instance"])
    source, target = nonlinear.pair_of(setting, key, task["theta"])
    target = TwoLayer(target.neurons, task["norm"] * target.output_weights)
    result = nonlinear.pretrain(setting, key, source)
    basis = protocols.basis_of(setting, key, result.params, target)
    moved = nonlinear.transfer(setting, key, nonlinear.Prepared(result.params, basis, target, result.status), index)
    alone = nonlinear.from_scratch(setting, key, index, target)
    sample = protocols.target_sample(setting, key, target)
    learned = kept(basis, setting.cutoff)
    points = jax.random.normal(keys.named(key, "nodes"), nodes.shape)
    laws = {
        name: FunctionLaw(lambda x, net=net: mean_field.apply(net, x, setting.teacher_activation), setting.noise_std)
        for name, net in (("source", source), ("target", target))
    }
    return {
        "risk": jnp.stack([alone.risk, moved.linear_transfer_risk, moved.fine_tuning_risk]),
        "status": jnp.stack([alone.status, result.status, moved.fine_tuning_status]),
        "overlap": cutoff_overlap(basis, setting.cutoff)[0],
        "features": setting.model.features(result.params, sample.inputs) @ basis.directions,
        "learned": learned,
        "labels": sample.labels,
        "distances": jnp.stack(between(laws, discrepancy.sampled_inputs(points))),
        "points": points,
        "outputs": jnp.stack([law.function(points) for law in laws.values()]),
    }


def measure(config: PredictorsConfig, chosen: list[Task], progress: Progress) -> dict[str, np.ndarray]:
    """Risks (method, task, instance), statuses, overlap, scores and distances of some tasks."""
    part, setting = config.relu, tasks.relu_setting(config)
    columns = tasks.columns(chosen)
    instance = np.arange(part.num_instances, dtype=np.int32)
    lanes = {name: np.repeat(values, len(instance)) for name, values in columns.items()}
    lanes["instance"] = np.tile(instance, len(chosen))
    nodes = np.zeros((part.num_nodes, part.task.dim), np.float32)
    out = _by_size(config, lanes, (setting, nodes, jax.random.key(config.seed)), progress)
    scored, gaps = [], []
    for i, count in enumerate(lanes["num_samples"]):
        scored.append(scores(out["features"][i][:count, out["learned"][i]], out["labels"][i][:count]))
        gaps.append(_mmd(out["points"][i], out["outputs"][i], float(lanes["noise"][i]), int(lanes["draw"][i])))
    distances = np.concatenate([out["distances"], np.array(gaps)[:, None]], axis=1)
    shape = (len(chosen), len(instance))

    def on_tasks(values: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.asarray(values).reshape(*shape, -1), -1, 0)

    return {
        "risk": on_tasks(out["risk"]),
        "status": on_tasks(out["status"]).astype(np.int8),
        "overlap": out["overlap"].reshape(shape),
        "score": on_tasks(scored),
        "distance": in_order(on_tasks(distances)),
    }


def _by_size(config: PredictorsConfig, lanes: dict[str, np.ndarray], shared: tuple, progress: Progress) -> Any:
    """`lane` of every lane, those of one sample size at a time: side by side with others, each would run all sizes."""
    counts, sizes = lanes["num_samples"], shared[0].sizes
    found, done = [], 0
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        part = ensemble.run(
            lane,
            {name: values[rows] for name, values in lanes.items()},
            (*shared, np.int32(sizes.index(count))),
            layout=_grid.layout(config.ensemble, len(rows)),
            progress=lambda now, _, before=done: progress(3 * (before + now)),
        )
        found.append(part)
        done += len(rows)
    in_turn = np.argsort(np.argsort(counts, kind="stable"))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[in_turn], *found)


def _mmd(points: np.ndarray, outputs: np.ndarray, noise: float, draw: int) -> float:
    """The unbiased MMD² between two samples of half the nodes each."""
    half = len(points) // 2
    random = np.random.default_rng(draw)
    labels = outputs + noise * random.standard_normal(outputs.shape)
    source = discrepancy.joint_points(points[:half], labels[0, :half])
    target = discrepancy.joint_points(points[half:], labels[1, half:])
    width = float(np.sqrt(points.shape[1] + 1))
    return discrepancy.maximum_mean_discrepancy_sample(source=source, target=target, bandwidth=width)
