"""Should you train from scratch, probe or fine-tune? Advice from a pilot sample and a pretrained predictor or features.

python -m experiments.plan data=FILE [num_samples=N] [depth=L] [covariance=auto] [output=DIR]

FILE is .npz with arrays `X` (n, d), `y` (n,) and `source` (d,) or `features` (n, k); or .csv with a header, its label
column called y (or label=NAME), feature columns called feature_0, feature_1, ..., and every other column an input.
For a .csv file source=FILE names a second one with the d numbers of the pretrained linear predictor.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

from experiments.running import console as _console
from experiments.running.study import UserError, writable

KEYS = {
    "data": "the pilot sample, .npz or .csv",
    "source": "pretrained linear predictor for a .csv file: a file of d numbers",
    "label": "label column of a .csv file (default y)",
    "num_samples": "rows you will train on (default: the pilot's)",
    "depth": "layers of the network to be fine-tuned (default 2)",
    "covariance": "auto, identity, diagonal or estimate (default auto)",
    "output": "where the figure goes (default: outputs/plan/<name of the data file>)",
}


def arguments(words: list[str]) -> dict[str, str]:
    """key=value words, each key known and given once."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise UserError(f"{word!r} is not understood; give key=value with a key of {', '.join(KEYS)}.")
        if key in found:
            raise UserError(f"{key} is given twice.")
        found[key] = value
    if "data" not in found:
        raise UserError("no data: give data=FILE (.npz or .csv); --help explains the format.")
    return found


def load(path: Path, label: str = "y", source: Path | None = None) -> dict[str, np.ndarray]:
    """The arrays of a data file: X, y, and source or features. Nothing in a file is ever executed."""
    if not path.is_file():
        raise UserError(f"data = {path} is not a file.")
    if path.suffix == ".npz":
        arrays = _npz(path)
    elif path.suffix == ".csv":
        arrays = _csv(path, label)
    else:
        raise UserError(f"data = {path} must end in .npz or .csv.")
    if source is not None:
        arrays["source"] = _numbers(source)
    return arrays


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        opened = np.load(path, allow_pickle=False)
        if not hasattr(opened, "files"):
            raise UserError(f"{path} is a single array, not an .npz archive with X, y and source or features.")
        with opened as archive:
            arrays = {}
            for name in archive.files:
                try:
                    arrays[name] = archive[name]
                except ValueError as error:
                    raise UserError(
                        f"{path}: array {name!r} holds pickled objects, which are never loaded; {error}"
                    ) from None
    except UserError:
        raise
    except Exception as error:  # whatever the zip or header parser says: the file is not what its name claims
        raise UserError(f"{path} is not an .npz archive of plain arrays ({error}).") from None
    for name in ("X", "y"):
        if name not in arrays:
            raise UserError(f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; array {name!r} is missing.")
    return arrays


def _csv(path: Path, label: str) -> dict[str, np.ndarray]:
    with open(path, newline="", encoding="utf-8", errors="replace") as handle:
        rows = list(csv.reader(handle))
    if len(rows) < 2:
        raise UserError(f"{path} has {len(rows)} line(s); a header and at least 3 rows are needed.")
    header, body = [name.strip() for name in rows[0]], rows[1:]
    if label not in header:
        raise UserError(
            f"{path} has no column {label!r}; its columns are {', '.join(header[:12])}. Name one with label=."
        )
    values = np.empty((len(body), len(header)))
    for i, row in enumerate(body):
        if len(row) != len(header):
            raise UserError(f"{path} row {i} has {len(row)} entries, the header {len(header)}.")
        for j, entry in enumerate(row):
            try:
                values[i, j] = float(entry) if entry.strip() else np.nan
            except ValueError:
                raise UserError(f"{path} row {i}, column {header[j]!r}: {entry!r} is not a number.") from None
    features = [j for j, name in enumerate(header) if name.startswith("feature_")]
    inputs = [j for j, name in enumerate(header) if name != label and j not in features]
    if not inputs:
        raise UserError(f"{path} has no input column beside {label!r} and the features.")
    arrays = {"X": values[:, inputs], "y": values[:, header.index(label)]}
    return {**arrays, "features": values[:, features]} if features else arrays


def _numbers(path: Path) -> np.ndarray:
    try:
        return np.array([float(word) for word in path.read_text().replace(",", " ").split()])
    except (OSError, ValueError) as error:
        raise UserError(f"source = {path} is not a file of numbers ({error}).") from None


def advise(arrays: dict[str, np.ndarray], options: dict[str, Any]) -> Any:
    """The plan for a data file's arrays."""
    from tlx import planner

    extra = sorted(set(arrays) - {"X", "y", "source", "features"})
    if extra:
        _console.say(f"arrays not used: {', '.join(extra)}")
    try:
        known = {name: arrays.get(name) for name in ("source", "features")}
        return planner.plan(arrays["X"], arrays["y"], **known, **options)
    except ValueError as error:
        raise UserError(str(error).replace("inputs", "X").replace("labels", "y")) from None


def options(found: dict[str, str]) -> dict[str, Any]:
    """The planner's options among the arguments."""
    out: dict[str, Any] = {}
    for key, kind in (("num_samples", int), ("depth", float)):
        if key in found:
            try:
                out[key] = kind(found[key])
            except ValueError:
                raise UserError(f"{key} = {found[key]!r} is not a number.") from None
    if "covariance" in found:
        out["covariance"] = found["covariance"]
    return out


def main(words: list[str]) -> None:
    """Read, advise, draw, print."""
    if any(word in ("-h", "--help") for word in words) or not words:
        print(__doc__)
        print("\n".join(f"  {key:12s} {text}" for key, text in KEYS.items()))
        return
    found = arguments(words)
    path = Path(found["data"])
    chosen = options(found)
    arrays = load(path, found.get("label", "y"), Path(found["source"]) if "source" in found else None)
    output = Path(found.get("output", f"outputs/plan/{path.stem}"))
    writable(output)
    advice = advise(arrays, chosen)
    from experiments.figures import plan as page
    from experiments.running.results import save

    files = save(page.page(advice, path.name), output, "plan")
    for line in page.lines(advice):
        _console.say(line)
    _console.say(f"figure: {output / files[0]}")
    print(f"recommendation: {advice.recommendation}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        _console.fail(str(error))
        raise SystemExit(2) from None
