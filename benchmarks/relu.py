"""One gradient step of many two-layer mean-field ReLU networks, and of an MLP, against PyTorch.

python -m benchmarks.relu [--output FILE]          (needs the extra `baseline`)

Competitors, same data, weights, step size and steps: batched PyTorch with the gradient written by hand in bmm, batched
PyTorch by torch.func.vmap of grad, and one network after another by autograd. The trained weights are compared before
any time counts, in the same run, turn by turn. Work is counted as 4 n d h floating-point operations a lane and step:
2 n d h forward, and as much for the gradient with respect to the weights (none is needed for the inputs).
"""

from functools import lru_cache
from typing import Any

import jax
import numpy as np

from benchmarks import _timing
from tlx import ensemble
from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear.data import Sample
from tlx.nonlinear.fit import fit
from tlx.nonlinear.models import MeanField, MultiLayer
from tlx.train import Optimizer

SHAPES = ((64, 200, 50, 64), (256, 100, 50, 64), (16, 500, 100, 256), (1000, 50, 50, 32))  # lanes, n, d, hidden
DEMANDED_RATIO, DEMANDED_FRACTION = 3.0, 0.6
RATE, EQUAL_STEPS, TURNS = 0.05, 20, 5
STEPS = {"tlx": 1000, "torch_bmm": 150, "torch_func_vmap": 150, "torch_one_by_one": 2}  # a turn: as trainings take them
TOLERANCE = 1e-4
ALONE = 8
SQUARE = 2048


def problem(lanes: int, num_samples: int, dim: int, hidden: int) -> dict[str, Any]:
    """Inputs, labels of a random smooth function, and a mean-field start for every lane."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((lanes, num_samples, dim), dtype=np.float32)
    labels = np.tanh(inputs[..., 0]) + inputs[..., 1]
    keys = jax.random.split(jax.random.key(0), lanes)
    start = jax.vmap(lambda key: mean_field.random_start(key, dim=dim, width=hidden, init_scale=1.0))(keys)
    return {"inputs": inputs, "labels": labels, "start": jax.tree.map(np.asarray, start)}


@lru_cache
def lane_of(model: Any) -> Any:
    """One lane of `model`, trained as studies train it; the same object at every call."""

    def lane(optimizer, data):
        return fit(model, data["start"], Sample(data["inputs"], data["labels"]), optimizer).params

    return lane


def by_tlx(data: dict[str, Any], num_steps: int) -> TwoLayer:
    """All lanes through `tlx.ensemble`, with the layout it makes."""
    _, hidden, dim = data["start"].neurons.shape
    rule = Optimizer(RATE * hidden, num_steps, tolerance=0.0)
    return ensemble.run(lane_of(MeanField(dim, hidden)), data, rule)


def arrays(data: dict[str, Any]) -> tuple[Any, ...]:
    """Inputs, labels, neurons and output weights as PyTorch tensors."""
    import torch

    values = data["inputs"], data["labels"], data["start"].neurons, data["start"].output_weights
    return tuple(torch.from_numpy(np.array(value)) for value in values)


def by_bmm(data: dict[str, Any], num_steps: int) -> tuple[Any, Any]:
    """Batched PyTorch, the gradient by hand."""
    import torch

    inputs, labels, neurons, output = arrays(data)
    count, hidden = inputs.shape[1], output.shape[1]
    rate = RATE * hidden
    with torch.no_grad():
        for _ in range(num_steps):
            before = torch.bmm(inputs, neurons.transpose(1, 2))
            after = torch.relu(before)
            excess = torch.bmm(after, output[..., None])[..., 0] / hidden - labels
            pull = (2 / (count * hidden)) * excess
            slope_output = torch.bmm(pull[:, None, :], after)[:, 0]
            back = (pull[..., None] * output[:, None, :]) * (before > 0)
            neurons = neurons - rate * torch.bmm(back.transpose(1, 2), inputs)
            output = output - rate * slope_output
    return neurons.numpy(), output.numpy()


def torch_loss(neurons: Any, output: Any, inputs: Any, labels: Any) -> Any:
    """Mean squared error of one network."""
    import torch

    return ((torch.relu(inputs @ neurons.T) @ output / output.shape[0] - labels) ** 2).mean()


def by_func_vmap(data: dict[str, Any], num_steps: int) -> tuple[Any, Any]:
    """Batched PyTorch by torch.func: vmap(grad(loss))."""
    from torch.func import grad, vmap

    inputs, labels, neurons, output = arrays(data)
    rate = RATE * output.shape[1]
    slopes = vmap(grad(torch_loss, argnums=(0, 1)))
    for _ in range(num_steps):
        first, second = slopes(neurons, output, inputs, labels)
        neurons, output = neurons - rate * first, output - rate * second
    return neurons.numpy(), output.numpy()


def one_by_one(data: dict[str, Any], num_steps: int) -> tuple[Any, Any]:
    """PyTorch, one network after another, by autograd and SGD; the first ALONE lanes, which stand for all."""
    import torch

    inputs, labels, neurons, output = arrays(data)
    rate = RATE * output.shape[1]
    trained = []
    for lane in range(min(ALONE, len(inputs))):
        weights = [neurons[lane].clone().requires_grad_(True), output[lane].clone().requires_grad_(True)]
        optimizer = torch.optim.SGD(weights, lr=rate)
        for _ in range(num_steps):
            optimizer.zero_grad()
            torch_loss(*weights, inputs[lane], labels[lane]).backward()
            optimizer.step()
        trained.append([weight.detach().numpy() for weight in weights])
    return tuple(np.stack(parts) for parts in zip(*trained, strict=True))


COMPETITORS = {"torch_bmm": by_bmm, "torch_func_vmap": by_func_vmap, "torch_one_by_one": one_by_one}


def versus(shape: tuple[int, int, int, int]) -> dict[str, Any]:
    """Equality, then milliseconds a step of all lanes and the fraction of the matrix-product peak."""
    lanes, num_samples, dim, hidden = shape
    data, operations = problem(*shape), 4.0 * lanes * num_samples * dim * hidden
    ours = by_tlx(data, EQUAL_STEPS)
    differences = {}
    for name, competitor in COMPETITORS.items():
        theirs = competitor(data, EQUAL_STEPS)
        pairs = zip(("neurons", "output_weights"), ours, theirs, strict=True)
        differences[name] = max(
            _timing.check_equal(f"{shape}, {name}, {w}", a[: len(b)], b, TOLERANCE) for w, a, b in pairs
        )
    moved = _timing.distance(ours.neurons, data["start"].neurons)
    if moved < 0.01:
        raise AssertionError(f"training moved the neurons by {moved:.2e} only: equality would prove nothing.")
    square = np.random.default_rng(0).standard_normal((SQUARE, SQUARE), dtype=np.float32)
    calls = {name: (lambda c=c, n=STEPS[name]: c(data, n)) for name, c in COMPETITORS.items()}
    calls = {"tlx": lambda: by_tlx(data, STEPS["tlx"]), **calls, "product": lambda: square @ square}
    found = _timing.alternated(calls, TURNS)
    product = found.pop("product")
    part = {"torch_one_by_one": lanes / min(ALONE, lanes)}
    steps = {name: [value * part.get(name, 1) / STEPS[name] for value in values] for name, values in found.items()}
    milliseconds = {name: _timing.summary(values, 1e3) for name, values in steps.items()}
    ratios = {name: _timing.ratio(steps, name, "tlx") for name in COMPETITORS}
    peak = 2.0 * SQUARE**3 / min(product) / 1e9
    rate = operations / min(steps["tlx"]) / 1e9
    batched = min(ratios["torch_bmm"], ratios["torch_func_vmap"])
    print(
        f"ReLU {shape}: {milliseconds['tlx']['median']:.2f} ms a step, {rate:.0f} of {peak:.0f} GFLOP/s "
        f"({rate / peak:.0%}); torch bmm {ratios['torch_bmm']:.1f}x, func.vmap {ratios['torch_func_vmap']:.1f}x, "
        f"one by one {ratios['torch_one_by_one']:.1f}x",
        flush=True,
    )
    return {
        "shape": list(shape), "differences": differences, "moved": moved, "ms": milliseconds, "ratios": ratios,
        "ratio": batched, "demanded": DEMANDED_RATIO, "gflops": rate, "peak_gflops": peak, "fraction": rate / peak,
        "fraction_demanded": DEMANDED_FRACTION, "steps": STEPS,
        "counted": "4 n d h operations a lane and step; fastest turn against the fastest NumPy product of the same run",
    }  # fmt: skip


def mlp(lanes: int = 64, num_samples: int = 200, dim: int = 50, widths: tuple[int, ...] = (64, 64)) -> dict[str, Any]:
    """A multilayer perceptron with biases against torch.func.vmap of the same network."""
    import torch
    from torch.func import grad, vmap

    model = MultiLayer(dim, widths)
    data = problem(lanes, num_samples, dim, 1)
    start = jax.vmap(model.start)(jax.random.split(jax.random.key(1), lanes))
    data["start"] = jax.tree.map(np.asarray, start)
    leaves, structure = jax.tree.flatten(data["start"])

    def apply(leaves, inputs):
        weights = jax.tree.unflatten(structure, leaves)
        for layer in sorted(weights["hidden"]):
            inputs = torch.relu(inputs @ weights["hidden"][layer]["kernel"] + weights["hidden"][layer]["bias"])
        return (inputs @ weights["head"]["kernel"])[:, 0]

    slopes = vmap(grad(lambda leaves, inputs, labels: ((apply(leaves, inputs) - labels) ** 2).mean()))
    inputs, labels = torch.from_numpy(data["inputs"]), torch.from_numpy(data["labels"])

    def theirs(num_steps):
        current = [torch.from_numpy(np.array(leaf)) for leaf in leaves]
        for _ in range(num_steps):
            found = slopes(current, inputs, labels)
            current = [value - 0.01 * slope for value, slope in zip(current, found, strict=True)]
        return [value.numpy() for value in current]

    def ours(num_steps):
        return jax.tree.leaves(ensemble.run(lane_of(model), data, Optimizer(0.01, num_steps, tolerance=0.0)))

    pairs = zip(ours(EQUAL_STEPS), theirs(EQUAL_STEPS), strict=True)
    difference = max(_timing.check_equal("MLP", a, b, 1e-3) for a, b in pairs)
    found = _timing.alternated({"tlx": lambda: ours(100), "torch": lambda: theirs(20)}, TURNS)
    steps = {"tlx": [s / 100 for s in found["tlx"]], "torch": [s / 20 for s in found["torch"]]}
    ratio = _timing.ratio(steps, "torch", "tlx")
    print(
        f"MLP {lanes, num_samples, dim, widths}: {1e3 * min(steps['tlx']):.2f} ms a step, torch.func.vmap {ratio:.1f}x"
    )
    return {
        "shape": [lanes, num_samples, dim, list(widths)], "difference": difference, "ratio": ratio,
        "ms": {name: _timing.summary(values, 1e3) for name, values in steps.items()},
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """Every shape, and the MLP."""
    return {"two_layer": [versus(shape) for shape in SHAPES], "mlp": mlp()}


if __name__ == "__main__":
    _timing.main("relu", measure, __doc__)
