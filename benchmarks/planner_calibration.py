"""Is the planner right as often as it says? Coverage of its intervals and quality of its advice over random settings.

`python -m benchmarks.planner_calibration [--settings 2000] [--seed 0] [--workers 2] [--vary-norm]`

Each setting draws d in 50..500, n/d in .1..2, the angle in 0..pi/2 and the noise in 0..1, all uniform, then a pilot
sample, and asks `tlx.planner.plan` what to do with those n rows. The truth it is held against is the exact mean risk at
that (d, n, angle, noise), from `tlx.theory` at finite dimension.
"""

import argparse
import itertools
import multiprocessing
import time

import jax
import numpy as np

QUANTITIES = ("target_norm", "noise_std", "overlap_angle", "signal_along_source")
METHODS = ("scratch", "linear_transfer", "fine_tuning")


def true_risks(dim, count, angle, noise, norm):
    """Exact mean excess risks of the three methods, in the order of METHODS."""
    from tlx import theory

    with jax.enable_x64(True):
        ratio = np.float64(count / dim)
        scratch = theory.scratch_risk(ratio, noise, target_norm=norm, dim=float(dim))
        linear = theory.linear_transfer_risk(angle, noise, num_samples=float(count), target_norm=norm)
        tuned = theory.fine_tuning_risk(angle, ratio, noise, target_norm=norm, dim=float(dim))
        return np.array([float(scratch), float(linear), float(tuned)])


def one_setting(job):
    """One random pilot: which intervals hold the truth, whether it spoke, its regret, and the setting itself."""
    seed, index, vary_norm = job
    from tlx.planner import plan

    rng = np.random.default_rng([seed, index])
    dim = int(rng.integers(50, 501))
    count = max(3, round(dim * rng.uniform(0.1, 2)))
    angle, noise = rng.uniform(0, np.pi / 2), rng.uniform(0, 1)
    norm = float(np.exp(rng.uniform(-np.log(2), np.log(2)))) if vary_norm else 1.0
    inputs = rng.standard_normal((count, dim))
    source, other = np.linalg.qr(rng.standard_normal((dim, 2)))[0].T
    target = norm * (np.cos(angle) * source + np.sin(angle) * other)
    labels = inputs @ target + noise * rng.standard_normal(count)
    advice = plan(inputs, labels, source=source, sample_sizes=[count], seed=index)
    truth = dict(zip(QUANTITIES, (norm, noise, angle, norm * np.cos(angle)), strict=True))
    inside = [advice.estimates[q].low <= truth[q] <= advice.estimates[q].high for q in QUANTITIES]
    risks = true_risks(dim, count, angle, noise, norm)
    regret = risks[METHODS.index(advice.leading)] / np.min(risks) - 1
    more = np.nan if advice.extra_samples is None else advice.extra_samples / count
    return [*inside, advice.recommendation != "undecided", regret, advice.confidence, count / dim, angle, noise, more]


def share(hits) -> str:
    """A percentage with its standard error."""
    hits = np.asarray(hits, dtype=float)
    if len(hits) == 0:
        return "none"
    mean = hits.mean()
    return f"{100 * mean:5.1f} % (s.e. {100 * np.sqrt(mean * (1 - mean) / len(hits)):.1f})"


def report(table: np.ndarray) -> None:
    """Print both figures, then where they come from."""
    spoke, regret, confidence = table[:, 4].astype(bool), table[:, 5], table[:, 6]
    print(f"{len(table)} settings\n\nCoverage of nominal 95 % intervals")
    for i, name in enumerate(QUANTITIES):
        print(f"  {name:22s} {share(table[:, i])}")
    print("\nAdvice (best, or within 5 % of the best risk)")
    print(f"  it speaks               {share(spoke)}")
    print(f"  right where it speaks   {share(regret[spoke] <= 0.05)}")
    print(f"  leading method right where it is silent {share(regret[~spoke] <= 0.05)}")
    if spoke.any():
        print(f"  mean confidence there   {confidence[spoke].mean():.3f}; largest regret {regret[spoke].max():.3f}")
    print(f"  median extra rows asked for, as a multiple of the pilot: {np.nanmedian(table[:, 10]):.2f}")
    print("\nCoverage and advice by quarter of each setting (columns: intervals as above, speaks, right)")
    for column, name in ((7, "n/d"), (8, "angle"), (9, "noise")):
        edges = np.quantile(table[:, column], [0, 0.25, 0.5, 0.75, 1])
        for low, high in itertools.pairwise(edges):
            rows = (table[:, column] >= low) & (table[:, column] <= high)
            parts = [*(table[rows, i].mean() for i in range(4)), spoke[rows].mean()]
            right = (regret[rows & spoke] <= 0.05).mean() if (rows & spoke).any() else np.nan
            print(f"  {name:5s} {low:5.2f}-{high:5.2f}  " + "  ".join(f"{100 * p:5.1f}" for p in (*parts, right)))


def main() -> None:
    """Run the settings and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--vary-norm", action="store_true", help="target norm log-uniform in [1/2, 2] instead of 1")
    options = parser.parse_args()
    jobs = [(options.seed, index, options.vary_norm) for index in range(options.settings)]
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        table = np.array(pool.map(one_setting, jobs, chunksize=10), dtype=float)
    report(table)
    print(f"\n{time.perf_counter() - start:.0f} s with {options.workers} workers")


if __name__ == "__main__":
    main()
