"""What the compilers make of the lane programs, on devices that need not be there: compiled, not timed.

python -m benchmarks.compiled [--target cpu|cuda|tpu|h100|a100|v5e:2x2|...] [--program full|spectral|flow|relu]
                              [--scale small|demo|paper] [--lanes N] [--lower-only] [--json]

cuda and tpu are lowered to StableHLO with nothing installed but jax; a topology such as v5e:2x2 is compiled by libtpu
(`pip install libtpu`), and so is tpu where libtpu is there; h100 and a100 are compiled without driver or card by JAX's
plugin for CUDA (the extra cuda; 3 GB) for a card as NVIDIA describes it. Bytes and operations are those of one gradient
step of all lanes, compiled alone; a bound is the larger of bytes over published bandwidth and operations over published
rate.
"""

import argparse
import json
import os
import re
import sys
import time
from typing import Any

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from benchmarks.cards import MULTIPROCESSORS, cards_of, described, seconds_per_step
from benchmarks.lane_programs import PROGRAMS, SCALES, Program, program
from tlx import ensemble

LANES = 61  # a prime: a loop of so many turns, or a multiple, goes over lanes
DEVICES = (1, 8, 64, 256)
PAIRS = 1e6
COLLECTIVES = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter", "collective-broadcast")
DEFAULT_TOPOLOGY = "v5e:2x2"
LOWERED = ("cuda", "tpu")


def loops_over_lanes(stablehlo: str, lanes: int) -> int:
    """How many loops take as many turns as there are lanes, or a multiple: lanes one after another."""
    regions = re.findall(r"stablehlo\.while.*?\bcond \{(.*?)\} do \{", stablehlo, re.S)
    turns = [int(n) for text in regions if " LT," in text for n in re.findall(r"dense<(\d+)> : tensor<i32>", text)]
    return sum(count > 0 and count % lanes == 0 for count in turns)


def collectives(text: str) -> dict[str, int]:
    """Communication between devices in StableHLO or optimized HLO."""
    found = {name: len(re.findall(rf"\b{name}(?:-start)?\(|stablehlo\.{name.replace('-', '_')}\b", text))
             for name in COLLECTIVES}  # fmt: skip
    return {name: count for name, count in found.items() if count}


def custom_calls(text: str) -> dict[str, int]:
    """Calls of libraries and of the compiler's own kernels, by name; annotations of sharding are none."""
    names = re.findall(r'custom_call @(\w+)|custom_call_target="([^"]+)"', text)
    found = [a or b for a, b in names if "harding" not in (a or b) and "SPMD" not in (a or b)]
    return {name: found.count(name) for name in sorted(set(found))}


def step_cost(found: Program, lanes: int, device: Any) -> dict[str, float | None]:
    """Bytes and operations of one step of a lane by the compiler's own count, and the bytes that no program avoids."""
    if found.step is None:
        return {"bytes_per_step": None, "flops_per_step": None, "least_bytes_per_step": None}
    sizes = [
        sum(4 * int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(part)) for part in (found.weights, found.data)
    ]
    one = SingleDeviceSharding(device)
    batched = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((lanes, *leaf.shape), leaf.dtype, sharding=one), (found.weights, found.data)
    )
    cost = jax.jit(jax.vmap(found.step)).lower(*batched).compile().cost_analysis() or {}
    moved, operations = cost.get("bytes accessed"), cost.get("flops")
    return {
        "bytes_per_step": moved / lanes if moved else None,
        "flops_per_step": operations / lanes if operations else None,
        "least_bytes_per_step": 2 * sizes[0] + sizes[1],
    }


def bounds(target: str, cost: dict[str, float | None], steps: int) -> dict[str, Any]:
    """The roofline of each card: microseconds a lane's step, and hours for a million pairs on 1 to 256 devices."""
    moved = cost["bytes_per_step"] or cost["least_bytes_per_step"]
    if not moved:
        return {}
    out = {}
    for card in cards_of(target):
        seconds = seconds_per_step(card, moved, cost["flops_per_step"] or 0.0)
        hours = {str(count): PAIRS * steps * seconds / count / 3600 for count in DEVICES}
        out[card.name] = {"microseconds_per_step": 1e6 * seconds, "hours_per_million_pairs": hours}
    return out


def devices_for(target: str, lower_only: bool) -> tuple[tuple[Any, ...] | None, str]:
    """The devices to compile for, or None and why the program is only lowered."""
    if target == "cpu":
        return tuple(jax.devices("cpu")[:1]), ""
    if target in MULTIPROCESSORS:
        return ensemble.devices_of("cuda:1", described(target))[:1], ""
    if target not in LOWERED:
        return ensemble.devices_of(target)[:1], ""
    if lower_only:
        return None, "lowered only, as asked"
    try:
        return ensemble.devices_of(DEFAULT_TOPOLOGY if target == "tpu" else "cuda:1")[:1], ""
    except ValueError as error:
        return None, f"lowered only: {error}"


def report(target: str, name: str, scale: str, lanes: int, lower_only: bool) -> dict[str, Any]:
    """Everything that is said of one program for one target."""
    found = program(name, scale)
    devices, why = devices_for(target, lower_only)
    host = tuple(jax.devices("cpu")[:1])
    layout = ensemble.make_layout(lanes, devices=devices or host, together=lanes, per_call=lanes)
    platform = None if devices else ("cuda" if target.startswith("cuda") else "tpu")
    begin = time.perf_counter()
    lowered = ensemble.lower_lanes(found.function, found.lanes, found.shared, layout=layout, platform=platform)
    text = lowered.as_text()
    out: dict[str, Any] = {
        "target": target, "program": name, "scale": scale, "lanes": lanes, "jax": jax.__version__,
        "device": devices[0].device_kind if devices else None, "note": why,
        "lower_seconds": time.perf_counter() - begin, "stablehlo_characters": len(text),
        "loops": text.count("stablehlo.while"), "loops_over_lanes": loops_over_lanes(text, lanes),
        "collectives": collectives(text), "custom_calls": custom_calls(text),
    }  # fmt: skip
    cost = step_cost(found, lanes, (devices or host)[0])
    if cost["flops_per_step"] is None:  # a compiler that does not count them: they are the same everywhere
        cost["flops_per_step"] = step_cost(found, lanes, host[0])["flops_per_step"]
    if devices is None:  # what a CPU's compiler moves says nothing of a card
        cost["bytes_per_step"] = None
    elif not lower_only:
        begin = time.perf_counter()
        whole = lowered.compile()
        optimized = whole.as_text() or ""
        out |= {
            "compile_seconds": time.perf_counter() - begin, "peak_bytes": ensemble.peak_bytes(whole),
            "code_bytes": whole.memory_analysis().generated_code_size_in_bytes or None,
            "collectives": collectives(optimized), "custom_calls": custom_calls(optimized),
        }  # fmt: skip
    return {**out, **cost, "steps_per_pair": found.steps, "bounds": bounds(target, cost, found.steps)}


def lines(found: list[dict[str, Any]]) -> list[str]:
    """A table: one row a program, then the bounds of those that take steps."""

    def megabytes(value: float | None, digits: int = 3) -> str:
        return "" if value is None else f"{value / 1e6:,.{digits}g}"

    out = ["| target | program | scale | lanes | peak MB | code MB | compiled in s | loops over lanes | collectives "
           "| custom calls | MB a lane's step | least MB | flops a lane's step |", "|" + "---|" * 13]  # fmt: skip
    for row in found:
        calls = ", ".join(f"{name} {count}" for name, count in row["custom_calls"].items()) or "none"
        seconds = f"{row['compile_seconds']:.0f}" if "compile_seconds" in row else "lowered only"
        flops = "" if row["flops_per_step"] is None else f"{row['flops_per_step']:.3g}"
        cells = (row["target"], row["program"], row["scale"], row["lanes"], megabytes(row.get("peak_bytes"), 4),
                 megabytes(row.get("code_bytes")), seconds, row["loops_over_lanes"],
                 sum(row["collectives"].values()), calls, megabytes(row["bytes_per_step"]),
                 megabytes(row["least_bytes_per_step"]), flops)  # fmt: skip
        out.append("| " + " | ".join(map(str, cells)) + " |")
    out += ["", "| program | scale | bytes of | card | bound, µs a lane's step | hours for a million pairs on "
            + ", ".join(map(str, DEVICES)) + " devices |", "|" + "---|" * 6]  # fmt: skip
    for row in found:
        source = row["target"] if row["bytes_per_step"] else "least"
        for card, bound in row["bounds"].items():
            hours = ", ".join(f"{value:.2g}" for value in bound["hours_per_million_pairs"].values())
            step = f"{bound['microseconds_per_step']:.3g}"
            out.append(f"| {row['program']} | {row['scale']} | {source} | {card} | {step} | {hours} |")
    return out


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 2 for a target that cannot be compiled for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--target", nargs="+", default=["cpu"], help="cpu, cuda, tpu, h100, a100, or a TPU topology such as v5e:2x2"
    )
    parser.add_argument("--program", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--scale", nargs="+", choices=SCALES, default=["demo"])
    parser.add_argument("--lanes", type=int, default=LANES, help=f"lanes stepped together (default {LANES}, a prime)")
    parser.add_argument(
        "--lower-only", action="store_true", help="whole programs as StableHLO only; one step is compiled"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    if not jax.config.jax_platforms:
        jax.config.update("jax_platforms", "cpu")  # what it is compiled for need not be here
    if MULTIPROCESSORS.keys() & set(chosen.target):  # no card is there to try kernels on
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"
    jax.config.update("jax_default_matmul_precision", "highest")
    found = []
    try:
        for target in chosen.target:
            for name in chosen.program:
                for scale in chosen.scale:
                    found.append(report(target, name, scale, chosen.lanes, chosen.lower_only))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=1) if chosen.json else "\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
