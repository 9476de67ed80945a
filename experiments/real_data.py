"""The planner on real data: its advice from a few dozen rows against what training then showed.

python -m experiments.real_data [draws=20] [sizes=12,20,40,80,160,320] [seed=0] [output=DIR]

The 1,797 handwritten digits that ship inside scikit-learn (8 x 8 pixels; nothing is downloaded; extra `examples`).
Inputs: the pixels of the left half; the task: predict one pixel of the right half. The source predictor is trained on
one pixel with 600 rows; the pilot is n rows of another pixel. The planner sees the pilot, the source and unlabelled
inputs; then the three methods are trained on the very same rows and judged on 597 rows that neither saw. The same is
done with Gaussian inputs of the same covariance, linear labels and Gaussian noise, where its assumptions hold.
"""

import functools
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.running import console as _console
from experiments.running.study import UserError, writable
from tlx import planner, stats
from tlx.linear import chain as spectral
from tlx.linear import data
from tlx.linear import flow_end as flow
from tlx.linear.probe import linear_transfer
from tlx.linear.setting import METHODS

SOURCE_PIXEL = (3, 4)  # (row, column) in the 8 x 8 image
TARGET_PIXELS = ((2, 4), (1, 4), (4, 4), (5, 4), (3, 5), (4, 5))
POOL, SEEN = 600, 0.1  # rows of the source and of the pilots' pool; share of images in which an input pixel is inked
TOLERANCE = 0.05
DEFAULTS = {"draws": "20", "sizes": "12,20,40,80,160,320", "seed": "0", "output": "outputs/real_data"}


class Task(NamedTuple):
    """One target task: the pool that pilots are drawn from and the test rows, whitened; what training may know.

    Attributes:
        pool, pool_labels, test, test_labels: whitened inputs (n, d) and centred labels.
        source: pretrained predictor in whitened coordinates.
        root: a root of the input covariance, raw inputs = whitened @ root.
        best: the best linear predictor, from all rows (real) or by construction (Gaussian).
    """

    pool: np.ndarray
    pool_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    source: np.ndarray
    root: np.ndarray
    best: np.ndarray


def digits(seed: int) -> list[Task]:
    """The real tasks, in the order of TARGET_PIXELS."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("the digits ship with scikit-learn: pip install 'tlx[examples]'.") from error
    images = load_digits().images / 16
    images = images[np.random.default_rng([seed, 0]).permutation(len(images))]
    left = images[:, :, :4].reshape(len(images), -1)
    inputs = left[:, np.mean(left > 0, axis=0) >= SEEN]
    inputs = inputs - inputs.mean(0)
    values, vectors = np.linalg.eigh(inputs.T @ inputs / len(inputs))
    root = (vectors * np.sqrt(values)) @ vectors.T
    white = inputs @ np.linalg.inv(root)
    labels = {at: images[:, at[0], at[1]] - images[:, at[0], at[1]].mean() for at in (SOURCE_PIXEL, *TARGET_PIXELS)}
    source = np.linalg.lstsq(white[:POOL], labels[SOURCE_PIXEL][:POOL])[0]
    pool, test = slice(POOL, 2 * POOL), slice(2 * POOL, None)
    return [
        Task(white[pool], labels[at][pool], white[test], labels[at][test], source, root, _fit(white, labels[at]))
        for at in TARGET_PIXELS
    ]


def gaussian(task: Task, seed: int) -> Task:
    """The same task with Gaussian inputs, labels linear in them, and Gaussian noise of the size of the residual."""
    random = np.random.default_rng([seed, 1])
    residual = task.pool_labels - task.pool @ task.best
    inputs = random.standard_normal((len(task.pool) + len(task.test), task.pool.shape[1]))
    labels = inputs @ task.best + residual.std() * random.standard_normal(len(inputs))
    cut = len(task.pool)
    return task._replace(
        pool=inputs[:cut], pool_labels=labels[:cut], test=inputs[cut:], test_labels=labels[cut:]
    )  # fmt: skip


def _fit(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(inputs, labels)[0]


@functools.partial(jax.jit, static_argnums=3)
def _trained(inputs: jax.Array, labels: jax.Array, source: jax.Array, depth: int) -> jax.Array:
    """Predictors (3, d) of scratch, linear transfer and fine-tuning: where gradient flow ends on these rows."""
    moments = data.moments(inputs, labels)
    basis, modes = spectral.decompose(moments)
    probe = linear_transfer(source[:, None], moments, jnp.zeros(1, inputs.dtype), 0.05)
    return jnp.stack(
        [basis @ flow.minimum_norm(modes), probe.predictors[0], basis @ flow.endpoint(modes, basis.T @ source, depth)]
    )


class Trial(NamedTuple):
    """One pilot: excess test risk of each method (3,), and what the planner said."""

    excess: np.ndarray
    recommendation: str


def trial(task: Task, count: int, random: np.random.Generator) -> Trial:
    """Draw a pilot of `count` rows, ask the planner, then train the three methods on the same rows and test them."""
    rows = random.choice(len(task.pool), count, replace=False)
    inputs, labels = task.pool[rows], task.pool_labels[rows]
    advice = planner.plan(
        inputs @ task.root, labels, source=np.linalg.solve(task.root, task.source), covariance="estimate",
        further_inputs=task.pool @ task.root, num_samples=count, sample_sizes=np.array([count]),
    )  # fmt: skip
    level = labels.mean()
    with jax.enable_x64(True):
        predictors = np.asarray(_trained(inputs, labels - level, task.source, 2))
    errors = np.mean((task.test @ predictors.T + level - task.test_labels[:, None]) ** 2, axis=0)
    return Trial(errors - np.mean((task.test @ task.best - task.test_labels) ** 2), advice.recommendation)


class Cell(NamedTuple):
    """All pilots of one target and size: mean excess risk and standard error (3,), advice counted, how often right.

    `right` counts the pilots whose advised method has a mean excess risk within 5 % of the best method's; `spoke` those
    that were not undecided; `always` (3,) is 1 for each method that would have been right.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    advice: dict[str, int]
    spoke: int
    right: int
    always: np.ndarray


def cell(trials: list[Trial]) -> Cell:
    """Sum up the pilots of one target and size."""
    measured = stats.estimate(np.array([one.excess for one in trials]).T)
    always = measured.mean <= (1 + TOLERANCE) * np.min(measured.mean)
    names = [one.recommendation for one in trials]
    advice = {name: names.count(name) for name in (*METHODS, "undecided")}
    right = sum(advice[method] for method, good in zip(METHODS, always, strict=True) if good)
    return Cell(measured.mean, measured.standard_error, advice, len(names) - advice["undecided"], right, always)


def study(tasks: list[Task], sizes: list[int], draws: int, seed: int) -> dict[tuple[int, int], Cell]:
    """(target, size) -> Cell, both by index."""
    out = {}
    for i, task in enumerate(tasks):
        for j, count in enumerate(sizes):
            random = np.random.default_rng([seed, 2, i, j])
            out[i, j] = cell([trial(task, count, random) for _ in range(draws)])
    return out


def table(found: dict[tuple[int, int], Cell], tasks: list[Task], sizes: list[int]) -> list[str]:
    """One line a cell: excess risks in 1e-3 label², advice (scratch/linear/fine/undecided), right of spoken."""
    head = "  ".join(f"{m.replace('_', ' '):>16s}" for m in METHODS)
    out = [f"pixel   cos    n  {head}   advice S/L/F/?   right"]
    for (i, j), one in found.items():
        cosine = tasks[i].source @ tasks[i].best / np.linalg.norm(tasks[i].source) / np.linalg.norm(tasks[i].best)
        risks = "  ".join(
            f"{1e3 * m:8.1f} ± {1e3 * e:4.1f}{'*' if good else ' '}"
            for m, e, good in zip(one.mean, one.standard_error, one.always, strict=True)
        )
        counts = "/".join(str(one.advice[name]) for name in (*METHODS, "undecided"))
        where = "({},{})".format(*TARGET_PIXELS[i])
        out.append(f"{where:6s} {cosine:+.2f} {sizes[j]:4d}  {risks}   {counts:>14s}   {one.right}/{one.spoke}")
    return out


def summary(name: str, found: dict[tuple[int, int], Cell], draws: int) -> str:
    """How often the advice was right, how often there was any, and what a fixed choice would have got."""
    spoke, right = sum(c.spoke for c in found.values()), sum(c.right for c in found.values())
    total = draws * len(found)
    fixed = np.mean([c.always for c in found.values()], axis=0)
    others = ", ".join(f"always {m.replace('_', ' ')} {100 * f:.0f} %" for m, f in zip(METHODS, fixed, strict=True))
    share = f"{100 * right / spoke:.0f} %" if spoke else "-"
    return (
        f"{name}: the planner spoke for {spoke} of {total} pilots; the advised method was the best or within 5 % of "
        f"the best mean excess risk in {right} of {spoke} ({share}). By cell, a fixed choice: {others}."
    )


def options(words: list[str]) -> tuple[int, list[int], int, Path]:
    """draws, sizes, seed and output from key=value words."""
    chosen = dict(DEFAULTS)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in DEFAULTS:
            raise UserError(f"{word!r} is not understood; give key=value with a key of {', '.join(DEFAULTS)}.")
        chosen[key] = value
    try:
        draws, seed = int(chosen["draws"]), int(chosen["seed"])
        sizes = sorted({int(size) for size in chosen["sizes"].split(",")})
    except ValueError as error:
        raise UserError(f"draws, sizes and seed are whole numbers (sizes separated by commas): {error}.") from None
    if draws < 2 or seed < 0 or not sizes or sizes[0] < 4 or sizes[-1] > POOL:
        raise UserError(
            f"draws = {draws} must be at least 2, seed at least 0, and sizes = {sizes} between 4 and {POOL}."
        )
    return draws, sizes, seed, Path(chosen["output"])


def main(words: list[str]) -> None:
    """Run both versions, print the table, and draw it."""
    if any(word in ("-h", "--help") for word in words):
        print(__doc__)
        return
    draws, sizes, seed, output = options(words)
    writable(output)
    real = digits(seed)
    control = [gaussian(task, seed + i) for i, task in enumerate(real)]
    found = {"digits": study(real, sizes, draws, seed)}
    found["Gaussian copy"] = study(control, sizes, draws, seed)
    from experiments.figures import real_data as figure
    from experiments.running.results import save

    files = save(figure.page(found, TARGET_PIXELS, sizes, draws), output, "real_data")
    dim = real[0].pool.shape[1]
    _console.say(
        f"excess test risk in 1e-3 label², mean ± standard error over {draws} pilots; d = {dim}; * best within 5 %"
    )
    for name, cells in found.items():
        _console.say(f"\n{name}")
        for line in table(cells, real, sizes):
            _console.say(line)
    for name, cells in found.items():
        _console.say(summary(name, cells, draws))
    _console.say(f"figure: {output / files[0]}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        _console.fail(str(error))
        raise SystemExit(2) from None
