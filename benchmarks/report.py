"""The committed run as a table, another run against it, and plots.

python -m benchmarks.report [RUN.json]      a run (default: the committed one) against the committed run
python -m benchmarks.report --write         puts the committed run's table into benchmarks/README.md
python -m benchmarks.report --plots DIR     throughput against lanes, scaling, fraction of the limit, as PNG
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import _timing

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


class Row(NamedTuple):
    """One line of the table: value and what is demanded are numbers in the same unit; `at_least` says which way."""

    what: str
    value: float
    unit: str
    demanded: float | None = None
    at_least: bool = True

    @property
    def reached(self) -> str:
        """Whether the demand is met."""
        if self.demanded is None:
            return ""
        return "yes" if (self.value >= self.demanded) == self.at_least or self.value == self.demanded else "**no**"


def committed() -> Path | None:
    """The run that the repository holds; the latest where there are several."""
    found = [(json.loads(path.read_text())["date"], path) for path in sorted(_timing.RESULTS.glob("*.json"))]
    return max(found)[1] if found else None


def rows(results: dict[str, Any]) -> Iterator[Row]:
    """Every line there is a measurement for."""
    for name, lines in LINES.items():
        if name in results:
            yield from lines(results[name])


def _limits(found: dict[str, Any]) -> Iterator[Row]:
    yield Row("NumPy matrix product, 2048 x 2048, all cores", found["peak_gflops"], "GFLOP/s")
    yield Row("NumPy memory copy, all cores", found["copy_gb_per_s"], "GB/s")


def _full_linear(found: dict[str, Any]) -> Iterator[Row]:
    for case in found["cases"]:
        name = f"full linear, d=500, n={case['num_samples']}, depth {case['depth']}, 20 lanes"
        yield Row(f"{name}: published algorithm in PyTorch", case["published_ms"]["median"], "ms a step")
        fastest = 2.5 if (case["depth"], case["num_samples"]) == (2, 250) else None
        yield Row(f"{name}: tlx", case["tlx_ms"]["median"], "ms a step", fastest, at_least=False)
        yield Row(f"{name}: speed-up", case["ratio"], "x", case["demanded"])
    chains = found["chains"]
    yield Row("engine spectral, d=500, 20 lanes", chains["spectral_ms_per_step"]["median"], "ms a step")
    yield Row("engine flow, d=500, 20 lanes", chains["flow_ms_for_all_endpoints"]["median"], "ms for all endpoints")
    grid = found["paper_grid"]
    yield Row("paper grid 20x20x20, d=500: tlx, with compilation", grid["tlx_seconds"], "s")
    yield Row("paper grid: published, extrapolated from measured steps", grid["published_seconds"] / 3600, "h")
    yield Row("paper grid: speed-up over the extrapolation", grid["ratio"], "x", grid["demanded"])


def _relu(found: dict[str, Any]) -> Iterator[Row]:
    for case in found["two_layer"]:
        name = f"two-layer ReLU (lanes, n, d, hidden) = {tuple(case['shape'])}"
        yield Row(f"{name}: tlx", case["ms"]["tlx"]["median"], "ms a step")
        yield Row(f"{name}: against PyTorch bmm", case["ratios"]["torch_bmm"], "x", case["demanded"])
        yield Row(f"{name}: against torch.func.vmap", case["ratios"]["torch_func_vmap"], "x", case["demanded"])
        yield Row(f"{name}: against PyTorch one by one", case["ratios"]["torch_one_by_one"], "x")
        demanded = case["fraction_demanded"]
        percent = None if demanded is None else 100 * demanded
        yield Row(f"{name}: of the matrix-product peak", 100 * case["fraction"], "%", percent)
    yield Row("MLP (64, 200, 50, [64, 64]): against torch.func.vmap", found["mlp"]["ratio"], "x")


def _devices(found: dict[str, Any]) -> Iterator[Row]:
    yield Row(f"{found['devices']} CPU devices against one, same lanes", found["strong"], "x", found["demanded"])
    yield Row(f"{found['devices']} CPU devices against one, {found['devices']} times the lanes", found["weak"], "x")


def _growth(found: dict[str, Any]) -> Iterator[Row]:
    for axis, case in found["full"].items():
        yield Row(f"full linear, exponent of a step's cost in {axis}, {case['values']}", case["exponent"], "")
    yield Row("two-layer ReLU, exponent of a step's cost in neurons", found["relu_hidden"]["exponent"], "")
    lanes = found["lanes"]
    for count, rate in zip(lanes["lanes"], lanes["lanes_per_second"], strict=True):
        yield Row(f"{count:,} small lanes", rate["median"], "lanes/s")
    what = "fall in lanes/s from 1,000 to 100,000 lanes"
    yield Row(what, 100 * lanes["fall"], "%", 100 * lanes["allowed_fall"], at_least=False)
    memory = found["memory"]
    yield Row("memory of a full linear lane, d=500, depth 2", memory["bytes_of_each_further_lane"] / 1e6, "MB")
    used = 100 * memory["bytes_under_the_limit"] / memory["limit"]
    yield Row("memory used of a limit that is set", used, "%", 100.0, at_least=False)


def _programs(found: dict[str, Any]) -> Iterator[Row]:
    yield Row("import tlx", found["start"]["import_tlx"]["median"], "s")
    yield Row("a study's --help", found["start"]["help"]["median"], "s")
    for engine, case in found["compilation"].items():
        longest, limit = case["longest_compilation"], found["compile_limit"]
        yield Row(f"engine {engine}: longest compilation", longest, "s", limit, at_least=False)
        small, large = case["programs_small_grid"], case["programs_large_grid"]
        yield Row(f"engine {engine}: programs on a larger grid, beside {small} on a small one", large, "", small, False)
    demo = found["demo"]
    yield Row("make demo: share of its time in compiled compute", 100 * demo["share"], "%", 100 * demo["demanded"])


LINES = {
    "limits": _limits,
    "full_linear": _full_linear,
    "relu": _relu,
    "devices": _devices,
    "growth": _growth,
    "programs": _programs,
}


def number(value: float) -> str:
    """Three digits, never in powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(run: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    """Markdown: what was measured, what is demanded, and, where another run is given, its value."""
    earlier = {row.what: row.value for row in rows(before["results"])} if before else {}
    head = "| measurement | value | demanded | reached |" + (" committed | change |" if before else "")
    lines = [head, "|---|---|---|---|" + ("---|---|" if before else "")]
    for row in rows(run["results"]):
        sign = "" if row.demanded is None else ("≥ " if row.at_least else "≤ ") + number(row.demanded)
        line = f"| {row.what} | {number(row.value)} {row.unit} | {sign} | {row.reached} |"
        if before:
            old = earlier.get(row.what)
            change = "" if not old else f"{row.value / old - 1:+.0%}"
            line += f" {'' if old is None else number(old)} | {change} |"
        lines.append(line)
    if run["machine"]["gpu"] is None:
        for what in ("lanes/s against PyTorch", "fraction of memory bandwidth", "fraction of matrix peak"):
            lines.append(f"| GPU: {what} | not measured | | |" + (" | |" if before else ""))
    return "\n".join(lines)


def heading(run: dict[str, Any]) -> str:
    """The machine and versions in a paragraph."""
    machine = run["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in sorted(machine["versions"].items()) if value)
    failed = f" Not measured, because the benchmark failed: {', '.join(run['failed'])}." if run["failed"] else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['jax_devices']}, "
        f"{machine['precision']}; Python {machine['python']}, {versions}. Measured on {run['date']}, with a load "
        f"average of {machine['load_average']} before the start.{failed}"
    )


def write_readme(run: dict[str, Any]) -> None:
    """Put heading and table between the marks in README.md."""
    text = README.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{heading(run)}\n\n{table(run)}\n{END}{after}")


def plots(run: dict[str, Any], directory: Path) -> list[Path]:
    """Throughput against lanes, cost along each axis, and the fraction of the limit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    results, made = run["results"], []
    directory.mkdir(parents=True, exist_ok=True)

    def drawn(name: str, draw: Any) -> None:
        figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
        draw(axes)
        figure.savefig(directory / f"{name}.png", dpi=150)
        plt.close(figure)
        made.append(directory / f"{name}.png")

    def throughput(axes: Any) -> None:
        found = results["growth"]["lanes"]
        axes.semilogx(found["lanes"], [rate["median"] for rate in found["lanes_per_second"]], "o-")
        axes.set(xlabel="lanes", ylabel="lanes / s", ylim=(0, None), title="small full linear lanes (d = 8)")

    def scaling(axes: Any) -> None:
        for axis, found in results["growth"]["full"].items():
            base = [value / found["values"][0] for value in found["values"]]
            axes.loglog(base, found["ms_per_step"], "o-", label=f"{axis}: exponent {found['exponent']:.2f}")
        axes.set(xlabel="value of the axis over its smallest", ylabel="ms a step, four lanes", title="full linear")
        axes.legend()

    def limit(axes: Any) -> None:
        found = results["relu"]["two_layer"]
        axes.bar([str(tuple(case["shape"])) for case in found], [case["fraction"] for case in found])
        axes.axhline(0.6, color="k", linestyle=":")
        axes.set(ylabel="fraction of the matrix-product peak", title="two-layer ReLU: (lanes, n, d, hidden)")
        axes.tick_params(axis="x", labelsize=7)

    if "growth" in results:
        drawn("throughput", throughput)
        drawn("scaling", scaling)
    if "relu" in results:
        drawn("fraction_of_limit", limit)
    return made


def main() -> None:
    """Print, write or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="default: the committed run")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    parser.add_argument("--plots", type=Path, help="draw the plots in this directory")
    arguments = parser.parse_args()
    base = committed()
    path = arguments.run or base
    if path is None:
        parser.error(f"no run in {_timing.RESULTS}: make one by python -m benchmarks.")
    run = json.loads(path.read_text())
    other = json.loads(base.read_text()) if base and base.resolve() != path.resolve() else None
    if arguments.write:
        write_readme(run)
    print(f"{heading(run)}\n\n{table(run, other)}")
    if arguments.plots:
        print(*plots(run, arguments.plots), sep="\n")


if __name__ == "__main__":
    main()
