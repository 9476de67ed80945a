"""Small results of every study and engine as they were, and how close a result has to come to them.

PYTHONPATH=. python tests/experiments/golden_results.py     computes and writes them anew (say why in the commit)
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import small
import xarray as xr

import experiments

FILE = Path(__file__).parent / "golden" / "results.json"
MOST = 24  # values kept of a variable, evenly spread
ENGINES = ("spectral", "flow")
RUNS = {name: (name, []) for name in sorted(small.SMALL) if name != "real_data"}  # its numbers are those of packages
RUNS |= {f"phase_diagram {engine}": ("phase_diagram", [f"engine={engine}"]) for engine in ENGINES}
# a run in float32: of the largest value of a variable, what hundreds of steps on another processor may change
TOLERANCE = 3e3 * float(np.finfo(np.float32).eps)


def compact(data: xr.Dataset) -> dict[str, dict[str, list]]:
    """Of every variable of numbers but z (whose errors may be tiny): its dimensions with lengths, and some values."""
    found = {}
    for name in sorted(map(str, data.data_vars)):
        values = data[name].values
        if values.dtype.kind not in "iufb" or name.endswith("_z") or name.startswith("z_") or name == "z":
            continue
        flat = values.ravel()
        chosen = flat[np.unique(np.linspace(0, flat.size - 1, min(MOST, flat.size)).astype(int))]
        numbers = [round_to(float(v)) if values.dtype.kind == "f" else int(v) for v in chosen]
        found[name] = {"dims": [f"{dim}={size}" for dim, size in data[name].sizes.items()], "values": numbers}
    return found


def round_to(value: float) -> float:
    """Six digits."""
    return float(f"{value:.6g}")


def apart(found: dict, golden: dict) -> list[str]:
    """In which variables two compact results differ by more than rounding; counts and statuses have to be equal."""
    wrong = sorted(found.keys() ^ golden.keys())
    for name in found.keys() & golden.keys():
        one, two = found[name], golden[name]
        exact = all(isinstance(v, int) for v in two["values"])
        values, kept = np.array(one["values"], float), np.array(two["values"], float)
        scale = np.max(np.abs(kept[np.isfinite(kept)]), initial=0.0)
        same = one["dims"] == two["dims"] and np.allclose(
            values, kept, rtol=0, atol=0 if exact else TOLERANCE * scale + 1e-7, equal_nan=True
        )
        if not same:
            wrong.append(f"{name}: {one} instead of {two}")
    return wrong


def computed(run: str, directory: Path) -> xr.Dataset:
    """The result of one of RUNS."""
    study, words = RUNS[run]
    return experiments.run(study, [*small.SMALL[study], *words, "figures=[]"], directory=directory, quiet=True)


if __name__ == "__main__":
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    for run in sys.argv[1:] or RUNS:
        with tempfile.TemporaryDirectory() as place:
            kept[run] = compact(computed(run, Path(place)))
            print(run, len(kept[run]), "variables", flush=True)
        FILE.write_text(json.dumps({run: kept[run] for run in RUNS if run in kept}, separators=(",", ":")) + "\n")
