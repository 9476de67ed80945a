"""What the planner says outside its assumptions: harmful advice, broken assumptions named, false alarms, coverage.

`python -m benchmarks.planner_false_alarms [--pilots 100] [--workers 2] [--rows 40,100,240] [--regimes NAME,...]`

In each regime one task is fixed and pilots of n rows are drawn (d = 60). The truth is the risk of each method,
trained on the very rows of the pilot and averaged over all pilots of that n, on 4,000 rows that none of them saw.
"""

import argparse
import multiprocessing
import time

import numpy as np

DIM, TEST = 60, 4000
METHODS = ("scratch", "linear_transfer", "fine_tuning")
INSIDE = ("linear", "small pilot", "source of another norm", "orthogonal source", "noise 5")
OUTSIDE = (
    "nonlinear target", "network features", "signs", "uneven noise", "t3 noise", "elliptical inputs",
    "correlated inputs", "duplicate columns",
)  # fmt: skip


def inputs_of(regime, count, rng):
    """Rows of the regime."""
    rows = rng.standard_normal((count, DIM))
    if regime == "elliptical inputs":
        rows *= np.sqrt(5 / rng.chisquare(5, (count, 1))) * np.sqrt(3 / 5)
    if regime == "correlated inputs":
        for j in range(1, DIM):
            rows[:, j] = 0.6 * rows[:, j - 1] + 0.8 * rows[:, j]
    if regime == "duplicate columns":
        rows[:, -6:] = rows[:, :6]
    return rows


def target_of(regime, rows, network):
    """Labels without noise, and the source."""
    angle = np.pi / 2 if regime == "orthogonal source" else 0.6
    source, across = np.eye(DIM)[0], np.eye(DIM)[1]
    clean = rows @ (np.cos(angle) * source + np.sin(angle) * across)
    if regime == "nonlinear target":
        clean = clean + 0.6 * (clean**2 - 1)
    if regime == "network features":
        clean = np.maximum(rows @ network[0], 0) @ network[1]
    if regime == "source of another norm":
        source = 2.5 * source
    return clean, source


def noise_of(regime, clean, rng):
    """Label noise."""
    noise = rng.standard_normal(len(clean))
    if regime == "uneven noise":
        return noise * np.abs(clean) * 0.8
    if regime == "t3 noise":
        return 0.5 * rng.standard_t(3, len(clean))
    return noise * {"noise 5": 5.0, "network features": 0.05}.get(regime, 0.4)


def pilot_of(regime, count, seed, index):
    """inputs, labels, source or None, features or None; then test inputs, clean test labels, test features."""
    task = np.random.default_rng([seed, 99])
    network = task.standard_normal((DIM, 8)) / np.sqrt(DIM), task.standard_normal(8) / np.sqrt(8)
    rng = np.random.default_rng([seed, count, index])
    rows, test = inputs_of(regime, count, rng), inputs_of(regime, TEST, rng)
    clean, source = target_of(regime, rows, network)
    truth, _ = target_of(regime, test, network)
    labels = clean + noise_of(regime, clean, rng)
    if regime == "signs":
        labels, truth = np.sign(labels), np.sign(truth)
    if regime == "network features":
        return rows, labels, None, np.maximum(rows @ network[0], 0), test, truth, np.maximum(test @ network[0], 0)
    return rows, labels, source, None, test, truth, None


def trained(rows, labels, source, features, test, truth, test_features):
    """Excess test risk of the three methods trained on these rows, by least squares and the endpoint of fine-tuning."""
    from tlx.planner.held_out import balance

    mean, level = rows.mean(0), labels.mean()
    x, y, t = rows - mean, labels - level, test - mean
    scratch = np.linalg.pinv(x) @ y
    guesses = [t @ scratch]
    if features is None:
        along = x @ source
        guesses.append(t @ source * (along @ y / (along @ along)))
        scale = balance(x, y, source, 2) if len(y) <= x.shape[1] else 0.0
        guesses.append(t @ (scratch + scale * (source - np.linalg.pinv(x) @ along)))
    else:
        middle = features.mean(0)
        guesses.append((test_features - middle) @ (np.linalg.pinv(features - middle) @ y))
    risks = [np.mean((guess + level - truth) ** 2) for guess in guesses]
    return np.array([*risks, np.nan][:3])


def one_pilot(job):
    """Recommendation (or -1), ruled-out methods, whether an assumption is named broken, coverage, measured risks."""
    regime, count, seed, index = job
    from tlx.planner import plan

    rows, labels, source, features, *rest = pilot_of(regime, count, seed, index)
    with np.errstate(all="ignore"):
        try:
            advice = plan(rows, labels, source=source, features=features, sample_sizes=[count], seed=index)
        except ValueError as refusal:
            if "repeat each other" not in str(refusal):
                raise
            return [-1, 0, 0, 0, True, np.nan, np.nan, *trained(rows, labels, source, features, *rest)]
    spoken = METHODS.index(advice.recommendation) if advice.recommendation in METHODS else -1
    ruled = [name in advice.ruled_out for name in METHODS]
    noise = advice.estimates["noise_std"]
    true_noise = {"noise 5": 5.0}.get(regime, 0.4)
    norm = advice.estimates["target_norm"]
    inside = [noise.low <= true_noise <= noise.high, norm.low <= 1 <= norm.high]
    return [spoken, *ruled, bool(advice.broken), *inside, *trained(rows, labels, source, features, *rest)]


def summary(regime, count, table):
    """One line a regime and size, and the counts behind it."""
    table = np.array(table, dtype=float)
    risks = np.nanmean(table[:, 7:10], axis=0)
    best = np.nanmin(risks)
    spoken = table[:, 0].astype(int)
    speaks = spoken >= 0
    harmful = sum(risks[s] > 1.25 * best for s in spoken[speaks])
    right = sum(risks[s] <= 1.05 * best for s in spoken[speaks])
    wrongly = sum(table[:, 1 + i].sum() for i in range(3) if np.isfinite(risks[i]) and risks[i] <= 1.05 * best)
    ruled = table[:, 1:4].sum()
    named = table[:, 4].mean()
    silent = table[:, 4] == 0
    cover = np.nanmean(table[silent, 5:7], axis=0) if regime in INSIDE and silent.any() else np.full(2, np.nan)
    print(
        f"{regime:24s} {count:4d}  named {100 * named:5.1f} %  speaks {100 * speaks.mean():5.1f} %  right {right:3d}  "
        f"harmful {harmful:3d}  "
        f"ruled out {ruled:4.0f}, wrongly {wrongly:3.0f}  cover {cover.round(3)}  risks {risks.round(3)}",
        flush=True,
    )
    return np.array([speaks.sum(), harmful, right, ruled, wrongly])


def main() -> None:
    """Run the regimes and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilots", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", default="40,100,240")
    parser.add_argument("--regimes", default=",".join((*INSIDE, *OUTSIDE)))
    options = parser.parse_args()
    start, total = time.perf_counter(), np.zeros(5)
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for regime in options.regimes.split(","):
            for count in [14] if regime == "small pilot" else map(int, options.rows.split(",")):
                if regime == "correlated inputs" and count >= 2 * DIM:
                    continue
                jobs = [(regime, count, options.seed, index) for index in range(options.pilots)]
                total += summary(regime, count, pool.map(one_pilot, jobs, chunksize=5))
    speaks, harmful, right, ruled, wrongly = total
    print(
        f"\nspeaks {speaks:.0f}; right {right:.0f}; harmful {harmful:.0f}; ruled out {ruled:.0f}, wrongly {wrongly:.0f}"
    )
    print(f"{time.perf_counter() - start:.0f} s with {options.workers} workers")


if __name__ == "__main__":
    main()
