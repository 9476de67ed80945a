"""Everything worth timing on one accelerator, in one call of at most nine minutes: lanes a second, and of which limit.

python -m benchmarks.accelerator [--output FILE] [--scale small|demo|paper] [--minutes 9]

Needs jax, flax, optax, jaxtyping and numpy alone. Measured in the same run, turn by turn: the card's copy bandwidth and
its product rate, a training step of every engine that takes steps and of two-layer ReLU networks, batched PyTorch where
it is installed, and the same lanes on one device and on all. Beside each stands the compiled bound: the bytes that the
compiler says a step moves, over the bandwidth measured here. Parts that time does not allow are named, not guessed.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import _timing
from benchmarks.compiled import step_cost
from benchmarks.lane_programs import DIMS, RELU, SCALES, program
from tlx import ensemble
from tlx.linear.engines import engine
from tlx.linear.lanes import grid_programs
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer

# per scale: side of the product, bytes of the copy, lanes of a training, steps of a training
SIZES = {"small": (256, 2**22, 4, 4000), "demo": (4096, 2**30, 1024, 500), "paper": (8192, 2**32, 1024, 500)}
TURNS = 3


def limits(scale: str) -> dict[str, float]:
    """What the card does at most: bytes/s of a copy, read and written, and operations/s of a square product."""
    side, copied, *_ = SIZES[scale]
    source, square = jnp.ones(copied // 4, jnp.float32), jnp.ones((side, side), jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    out = {"copy_bytes_per_second": 2 * copied / min(_timing.seconds(lambda: copy(source), 5))}
    for precision in ("highest", "default"):
        product = jax.jit(lambda x, p=precision: jnp.matmul(x, x, precision=p))
        seconds = min(_timing.seconds(lambda call=product: call(square), 5))
        out[f"product_flops_{precision}"] = 2 * side**3 / seconds
    return out


def trained(name: str, scale: str, lanes: int, num_steps: int, devices: tuple[Any, ...]) -> Callable[[], Any]:
    """A call that trains `lanes` pairs at one angle, `num_steps` steps a run, from the limit of pretraining."""
    rule = Optimizer(1e-3, num_steps, tolerance=0.0)
    setting = LinearSetting(dim=DIMS[scale], noise_std=0.2, pretraining="limit", scratch=rule, fine_tune=rule)
    outer = {"instance": np.arange(lanes, dtype=np.int32), "num_samples": np.full(lanes, DIMS[scale] // 2, np.int32)}
    layout = ensemble.make_layout(lanes, devices=devices)
    shared, angle = (setting, jax.random.key(0)), np.asarray([0.8], np.float32)
    return lambda: ensemble.run_nested(*grid_programs(engine(name)), outer, angle, shared, layout=layout)


def linear(scale: str, peak: dict[str, float]) -> Iterator[tuple[str, Any]]:
    """Lanes a second, and seconds of a lane's step from two lengths of run, of every engine."""
    *_, lanes, steps = SIZES[scale]
    one = tuple(jax.devices()[:1])
    for name in ("full", "spectral", "flow"):
        calls = {n: trained(name, scale, lanes, n, one) for n in (steps, 3 * steps)}
        found = _timing.alternated(calls, TURNS)
        row: dict[str, Any] = {"lanes": lanes, "dim": DIMS[scale], "seconds": _timing.summary(found[steps])}
        row["lanes_per_second"] = lanes / row["seconds"]["median"]
        if name != "flow":  # scratch and fine-tuning: two runs a lane
            longer = min(found[3 * steps]) - min(found[steps])
            row |= against_bound(name, scale, lanes, longer / (4 * steps * lanes), peak)
        yield name, row


def relu(scale: str, peak: dict[str, float]) -> Iterator[tuple[str, Any]]:
    """A step of two-layer networks, and of the same networks in batched PyTorch where it is installed."""
    found = program("relu", scale)
    *_, lanes, steps = SIZES[scale]
    lanes = max(2, lanes // 16) if scale == "paper" else lanes
    width, dim, _, sizes = RELU[scale]
    draw = np.random.default_rng(0)
    inputs = jnp.asarray(draw.standard_normal((lanes, sizes[-1], dim), dtype=np.float32))
    labels = jnp.tanh(inputs[..., 0])
    neurons = draw.standard_normal((lanes, width, dim), dtype=np.float32) / np.float32(dim) ** 0.5
    output = np.ones((lanes, width), np.float32)
    start = jax.tree.unflatten(jax.tree.structure(found.weights), [jnp.asarray(neurons), jnp.asarray(output)])
    step = jax.vmap(found.step)
    many = jax.jit(lambda weights, n: jax.lax.fori_loop(0, n, lambda _, w: step(w, (inputs, labels)), weights))
    seconds = min(_timing.seconds(lambda: many(start, steps), TURNS)) / (steps * lanes)
    row = {"lanes": lanes, "shape": [sizes[-1], dim, width], **against_bound("relu", scale, lanes, seconds, peak)}
    counted = 4.0 * sizes[-1] * dim * width
    row["of_product_peak"] = counted / seconds / peak["product_flops_highest"]
    theirs = by_torch(inputs, labels, neurons, output, min(50, max(5, steps // 10)))
    row["pytorch"] = theirs if isinstance(theirs, str) else {"microseconds": 1e6 * theirs, "ratio": theirs / seconds}
    yield "relu", row


def by_torch(inputs: Any, labels: Any, neurons: Any, output: Any, steps: int) -> float | str:
    """Seconds of a lane's step by batched PyTorch in float32, or why there is none."""
    try:
        import torch
    except ImportError:
        return "not measured: PyTorch is not installed"
    on_gpu = jax.default_backend() == "gpu"
    if on_gpu and not torch.cuda.is_available():
        return "not measured: this PyTorch sees no GPU"
    device, rate = "cuda" if on_gpu else "cpu", 0.01
    x, y, w, c = (torch.from_numpy(np.array(part)).to(device) for part in (inputs, labels, neurons, output))
    rows, hidden = x.shape[1], c.shape[1]

    def run(count: int) -> float:
        nonlocal w, c
        begin = time.perf_counter()
        for _ in range(count):
            before = torch.bmm(x, w.transpose(1, 2))
            after = torch.relu(before)
            pull = (2 / (rows * hidden)) * (torch.bmm(after, c[..., None])[..., 0] / hidden - y)
            back = (pull[..., None] * c[:, None, :]) * (before > 0)
            c = c - rate * torch.bmm(pull[:, None, :], after)[:, 0]
            w = w - rate * torch.bmm(back.transpose(1, 2), x)
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    run(3)
    return min(run(steps) for _ in range(TURNS)) / (steps * len(inputs))


def against_bound(name: str, scale: str, lanes: int, seconds: float, peak: dict[str, float]) -> dict[str, Any]:
    """Seconds of a lane's step beside the compiled bound at the bandwidth measured here."""
    cost = step_cost(program(name, scale), lanes, jax.devices()[0])
    moved = cost["bytes_per_step"] or cost["least_bytes_per_step"]
    bound = moved / peak["copy_bytes_per_second"]
    if seconds <= 0:
        return {"microseconds_per_step": "not measured: the difference of two runs was lost in noise"}
    return {
        "microseconds_per_step": 1e6 * seconds, "bound_microseconds_per_step": 1e6 * bound,
        "of_bandwidth": bound / seconds, "bytes_per_step": moved, "counted_by": "compiler" if cost["bytes_per_step"]
        else "least that must move", "flops_per_step": cost["flops_per_step"],
    }  # fmt: skip


def several(scale: str, _: dict[str, float]) -> Iterator[tuple[str, Any]]:
    """The same lanes on one device and on all."""
    devices = tuple(jax.devices())
    if len(devices) == 1:
        yield "devices", "not measured: there is one device"
        return
    *_, lanes, steps = SIZES[scale]
    calls = {n: trained("full", scale, lanes, steps, devices[:n]) for n in (1, len(devices))}
    found = _timing.alternated(calls, TURNS)
    yield "devices", {"devices": len(devices), "speed_up": _timing.ratio(found, 1, len(devices)), "lanes": lanes}


def measure(scale: str, minutes: float) -> dict[str, Any]:
    """Every part that the time allows, each with what it found or why it did not."""
    begin, results = time.perf_counter(), {}
    results["limits"] = peak = limits(scale)
    for part in (linear, relu, several):
        if time.perf_counter() - begin > 60 * minutes:
            results[part.__name__] = f"not measured: {minutes:g} minutes were over"
            continue
        for name, row in part(scale, peak):
            results[name] = row
            print(f"{name}: {json.dumps(row)}", flush=True)
    return {"scale": scale, "seconds": time.perf_counter() - begin, **results}


def main(arguments: list[str] | None = None) -> int:
    """The command line: one JSON on the screen and, where asked, in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument(
        "--scale", choices=SCALES, default=None, help="default: paper on an accelerator, small on a CPU"
    )
    parser.add_argument("--minutes", type=float, default=7.0, help="after so long nothing new is begun (default 7)")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", ".6")  # PyTorch wants some of the card too
    jax.config.update("jax_default_matmul_precision", "highest")
    scale = chosen.scale or ("small" if jax.default_backend() == "cpu" else "paper")
    content = {"machine": _timing.machine(), "accelerator": measure(scale, chosen.minutes)}
    print(json.dumps(content, indent=1))
    if chosen.output is not None:
        _timing.write(chosen.output, content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
