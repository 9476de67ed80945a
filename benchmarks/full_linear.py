"""Deep linear networks: engines `full`, `spectral` and `flow` against the published algorithm in PyTorch.

python -m benchmarks.full_linear [--output FILE]          (needs the extra `baseline`)

Both sides start fine-tuning from the same pretrained weights on the same data, take the same number of steps at the
same step size, and must end at the same predictors before any time counts. tlx works on the second moments of the
data; computing them is part of its time.
"""

import math
import statistics
from typing import Any

import jax
import numpy as np

from benchmarks import _timing
from tlx import ensemble
from tlx.linear import data
from tlx.linear.engines import engine
from tlx.linear.engines.full import fit
from tlx.linear.lanes import grid_programs
from tlx.linear.setting import LinearSetting
from tlx.networks import deep_linear
from tlx.train import Optimizer

DIM, LANES, LEARNING_RATE, ANGLE, NOISE = 500, 20, 0.01, math.pi / 4, 0.2
CASES = (  # depth, n, demanded ratio
    (2, 250, 30),
    (2, 750, 30),
    (3, 250, 20),
    (5, 250, 20),
)
GRID_DEMANDED = 3000
EQUAL_STEPS, TIMED_STEPS = 30, 1000  # a fine-tuning takes 5,000; its set-up is timed with our steps, not with theirs
TURNS, TURN_STEPS = 5, 8
TOLERANCE = 1e-4
PAPER = {"angles": 20, "ratios": 20, "instances": 20, "steps": 5000}


def problem(
    depth: int, num_samples: int, dim: int = DIM, lanes: int = LANES, width: int | None = None
) -> dict[str, Any]:
    """Data and pretrained weights of every lane: a balanced chain at the source, at an angle from the target."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((lanes, num_samples, dim), dtype=np.float32)
    source, other = np.eye(dim, dtype=np.float32)[:2]
    target = np.float32(math.cos(ANGLE)) * source + np.float32(math.sin(ANGLE)) * other
    noise = np.float32(NOISE) * draw.standard_normal((lanes, num_samples), dtype=np.float32)
    keys = jax.random.split(jax.random.key(0), lanes)
    weights = jax.vmap(lambda key: deep_linear.balanced(key, source, width=width or dim, depth=depth))(keys)
    return {"inputs": inputs, "labels": inputs @ target + noise, "weights": tuple(map(np.asarray, weights))}


def fine_tune(optimizer: Optimizer, lane: dict[str, Any]) -> jax.Array:
    """One lane as tlx trains it: moments, then `tlx.train`; returns the predictor."""
    result = fit(lane["weights"], data.moments(lane["inputs"], lane["labels"]), optimizer)
    return deep_linear.predictor(result.params)


def by_tlx(lanes: dict[str, Any], num_steps: int) -> np.ndarray:
    """All lanes through `tlx.ensemble`, with the layout it makes."""
    return ensemble.run(fine_tune, lanes, Optimizer(LEARNING_RATE, num_steps, tolerance=0.0))


def by_torch(lanes: dict[str, Any], num_steps: int) -> tuple[np.ndarray, list[float]]:
    """All lanes by the published algorithm, and the seconds of each step but the first two."""
    import torch

    from benchmarks import published_torch

    layers = [torch.from_numpy(np.array(w)) for w in lanes["weights"]]
    layers[-1] = layers[-1][..., None]
    inputs, labels = torch.from_numpy(lanes["inputs"]), torch.from_numpy(lanes["labels"])
    trained, found = published_torch.train(inputs, labels, layers, LEARNING_RATE, num_steps)
    return published_torch.predictors(trained).numpy(), found[2:]


def versus(depth: int, num_samples: int, demanded: float) -> dict[str, Any]:
    """Both sides on one case: equality first, then milliseconds a step of all lanes, turn by turn."""
    lanes = problem(depth, num_samples)
    before = np.asarray(jax.vmap(deep_linear.predictor)(lanes["weights"]))
    theirs, _ = by_torch(lanes, EQUAL_STEPS)
    difference = _timing.check_equal(f"depth {depth}, n = {num_samples}", by_tlx(lanes, EQUAL_STEPS), theirs, TOLERANCE)
    moved = _timing.distance(theirs, before)
    if moved < 0.1:
        raise AssertionError(f"training moved the predictors by {moved:.2e} only: equality would prove nothing.")
    by_tlx(lanes, TIMED_STEPS)  # compiles
    found: dict[str, list[float]] = {"tlx": [], "published": []}
    for _ in range(TURNS):
        found["published"].append(statistics.median(by_torch(lanes, TURN_STEPS)[1]))
        found["tlx"].append(_timing.seconds(lambda: by_tlx(lanes, TIMED_STEPS), 1, warm_up=0)[0] / TIMED_STEPS)
    ours, published = (_timing.summary(found[name], 1e3) for name in ("tlx", "published"))
    ratio = _timing.ratio(found, "published", "tlx")
    print(
        f"full, depth {depth}, n = {num_samples}: {ours['median']:.2f} ms a step, published {published['median']:.0f}: "
        f"{ratio:.0f}x (demanded {demanded}); difference {difference:.1e}",
        flush=True,
    )
    return {
        "depth": depth, "num_samples": num_samples, "dim": DIM, "lanes": LANES, "moved": moved,
        "relative_difference": difference, "equal_steps": EQUAL_STEPS, "timed_steps": TIMED_STEPS,
        "tlx_ms": ours, "published_ms": published, "ratio": ratio, "demanded": demanded,
    }  # fmt: skip


def chain_steps() -> dict[str, Any]:
    """Milliseconds a step of 20 lanes by engine `spectral`, from two lengths of run, and of one flow endpoint."""
    short, long = 1000, 21000

    def run(name: str, num_steps: int) -> Any:
        rule = Optimizer(LEARNING_RATE, num_steps, tolerance=0.0)
        setting = LinearSetting(dim=DIM, noise_std=NOISE, pretraining="limit", scratch=rule, fine_tune=rule)
        outer = {"instance": np.arange(LANES, dtype=np.int32), "num_samples": np.full(LANES, 250, np.int32)}
        shared = (setting, jax.random.key(0))
        return ensemble.run_nested(*grid_programs(engine(name)), outer, np.array([ANGLE], np.float32), shared)

    found = _timing.alternated({n: (lambda n=n: run("spectral", n)) for n in (short, long)}, repeats=3)
    steps = 2 * (long - short)  # scratch and fine-tuning: two runs a lane
    differences = [(b - a) / steps for a, b in zip(found[short], found[long], strict=True)]
    endpoint = _timing.seconds(lambda: run("flow", short))
    return {
        "spectral_ms_per_step": _timing.summary(differences, 1e3),
        "spectral_rest_ms": 1e3 * (statistics.median(found[short]) - 2 * short * statistics.median(differences)),
        "flow_ms_for_all_endpoints": _timing.summary(endpoint, 1e3),
        "lanes": LANES, "dim": DIM, "num_samples": 250,
    }  # fmt: skip


def paper_setting() -> LinearSetting:
    """The published figures 1 and 2, as conf/experiment/phase_diagram_noisy.yaml has them."""
    tune = Optimizer(LEARNING_RATE, PAPER["steps"], tolerance=0.0)
    scratch = Optimizer(0.1, 10_000, tolerance=0.0)
    ridges = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    return LinearSetting(dim=DIM, noise_std=NOISE, ridges=ridges, pretrain=tune, scratch=scratch, fine_tune=tune)


def paper_grid(published_ms: dict[int, float]) -> dict[str, Any]:
    """The whole 20 x 20 x 20 grid by engine `spectral`: 5,000 steps of each fine-tuning and 10,000 from scratch.

    The competitor's total is extrapolated, not measured: its fine-tunings alone (no pretraining, no scratch), from
    milliseconds a step at two sizes, linear in n between and beyond.
    """
    counts = np.arange(50, 1001, 50, dtype=np.int32)
    outer = {
        "instance": np.tile(np.arange(PAPER["instances"], dtype=np.int32), len(counts)),
        "num_samples": np.repeat(counts, PAPER["instances"]),
    }
    angles = np.linspace(0, np.pi / 2, PAPER["angles"] + 1, dtype=np.float32)[1:]
    shared = (paper_setting(), jax.random.key(0))
    (ours,) = _timing.seconds(
        lambda: ensemble.run_nested(*grid_programs(engine("spectral")), outer, angles, shared), 1, warm_up=0
    )
    (low, high) = sorted(published_ms)
    slope = (published_ms[high] - published_ms[low]) / (high - low)
    steps_ms = [published_ms[low] + slope * (n - low) for n in counts]
    theirs = sum(steps_ms) / 1e3 * PAPER["steps"] * PAPER["angles"]
    print(
        f"paper grid: {ours:.1f} s with compilation; published, extrapolated: {theirs / 3600:.0f} h, "
        f"{theirs / ours:.0f}x (demanded {GRID_DEMANDED})"
    )
    return {
        "tlx_seconds": ours, "includes": "compilation, scratch, pretraining, linear transfer at 6 ridges, fine-tuning",
        "published_seconds": theirs, "published_is": "extrapolated from measured steps; fine-tunings only",
        "ratio": theirs / ours, "demanded": GRID_DEMANDED,
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """Every case, the chains, and the paper's grid."""
    cases = [versus(*case) for case in CASES]
    published = {case["num_samples"]: case["published_ms"]["median"] for case in cases if case["depth"] == 2}
    chains = chain_steps()
    return {"cases": cases, "chains": chains, "paper_grid": paper_grid(published)}


if __name__ == "__main__":
    _timing.main("full_linear", measure, __doc__)
