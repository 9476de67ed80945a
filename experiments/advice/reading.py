"""A pilot sample from a file: CSV, TSV, Parquet or NPZ. Nothing in a file is ever executed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.advice.text_table import Table, decoded, read_text
from experiments.running.study import UserError

TEXT = (".csv", ".tsv", ".txt")
KNOWN = (*TEXT, ".parquet", ".npz")


class Pilot(NamedTuple):
    """Arrays `X`, `y`, and `source` or `features`; how the file was read, and what of it is not used, in sentences."""

    arrays: dict[str, np.ndarray]
    remarks: tuple[str, ...]


def read(
    path: Path,
    label: str = "y",
    source: Path | None = None,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Pilot:
    """The pilot in a file.

    Args:
        path: .npz with arrays X (n, d), y (n,) and source (d,) or features (n, k); or .csv, .tsv, .txt or .parquet with
            the label column, columns feature_*, and every other column an input.
        label: the label column.
        source: a file of the d numbers of the pretrained linear predictor (text or .npy).
        delimiter, encoding: of a text file; None: found.

    Raises:
        UserError: it is not such a file; one sentence that names the place and the remedy.
    """
    if not path.is_file():
        raise UserError(f"data = {path} is not a file.")
    kind = path.suffix.lower()
    if kind == ".npz":
        arrays, remarks = _npz(path), ()
    elif kind == ".parquet":
        arrays, remarks = _split(path, read_parquet(path), label)
    elif kind in TEXT:
        arrays, remarks = _split(path, read_text(path, delimiter, encoding), label)
    else:
        raise UserError(f"data = {path} must end in {', '.join(KNOWN[:-1])} or {KNOWN[-1]}.")
    if source is not None:
        arrays["source"] = numbers(source)
    extra = sorted(set(arrays) - {"X", "y", "source", "features"})
    if extra:
        remarks = (*remarks, f"Arrays not used: {', '.join(extra)}.")
    return Pilot({name: arrays[name] for name in ("X", "y", "source", "features") if name in arrays}, remarks)


def read_parquet(path: Path) -> Table:
    """The table of a Parquet file."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise UserError(
            f"{path}: Parquet needs pyarrow: pip install 'tlx[examples]', or save the table as .csv."
        ) from None
    except Exception as error:  # whatever the parser says: the file is not what its name claims
        raise UserError(f"{path} is not a Parquet file ({str(error).splitlines()[0]}).") from None
    columns = {}
    for name in map(str, frame.columns):
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)):
            raise UserError(f"{path}: column {name!r} holds {column.dtype}, not real numbers: convert or remove it.")
        values = column.to_numpy(dtype=float, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            more = f", and {len(bad) - 1} more in this column" if len(bad) > 1 else ""
            raise UserError(f"{path} row {bad[0] + 1}, column {name!r} is missing{more}: remove the row or fill it in.")
        columns[name] = values
    return Table(columns, 1, f"{path.name}: Parquet, {len(frame):,} rows of {len(columns):,} columns.")


def numbers(path: Path) -> np.ndarray:
    """A vector from a text file of numbers, or .npy."""
    if not path.is_file():
        raise UserError(f"source = {path} is not a file.")
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        return np.array([float(word) for word in decoded(path)[0].replace(",", " ").replace(";", " ").split()])
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        why = "it holds pickled objects, which are never loaded" if "pickle" in str(error) else str(error)
        raise UserError(f"source = {path} is not a file of numbers ({why}).") from None


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        opened = np.load(path, allow_pickle=False)
    except Exception as error:  # whatever the zip or header parser says: the file is not what its name claims
        why = "it is a pickle, which is never loaded" if "pickle" in str(error) else str(error)
        raise UserError(f"{path} is not an .npz archive of plain arrays ({why}).") from None
    if not hasattr(opened, "files"):
        raise UserError(f"{path} is a single array, not an .npz archive with X, y and source or features.")
    with opened as archive:
        arrays = {name: _member(path, archive, name) for name in archive.files}
    for name in ("X", "y"):
        if name not in arrays:
            raise UserError(f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; array {name!r} is missing.")
    for name in ("X", "y", "source", "features"):
        if name in arrays:
            _check_array(path, name, arrays[name])
    return arrays


def _member(path: Path, archive, name: str) -> np.ndarray:
    try:
        return archive[name]
    except Exception as error:
        if "pickle" in str(error):
            remedy = "save numbers, with numpy.savez of arrays of floats"
            raise UserError(
                f"{path}: array {name!r} holds pickled objects, which are never loaded; {remedy}."
            ) from None
        raise UserError(f"{path}: array {name!r} cannot be read ({error}).") from None


def _check_array(path: Path, name: str, array: np.ndarray) -> None:
    kinds = {"U": "text", "S": "text", "c": "complex numbers", "M": "dates", "m": "durations", "V": "records"}
    if array.dtype.kind in kinds:
        raise UserError(f"{path}: array {name!r} holds {kinds[array.dtype.kind]}: real numbers are needed.")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = f"row {bad[0][0] + 1}" + (f", column {bad[0][1] + 1}" if array.ndim > 1 else "")
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        remedy = "remove the row or fill it in"
        raise UserError(f"{path}: array {name!r} is missing or infinite in {place} (from 1){more}: {remedy}.")


def _split(path: Path, table: Table, label: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Inputs, labels and features of a table."""
    names = list(table.columns)
    if label not in names:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise UserError(f"{path} has no column {label!r}; its columns are {shown}. Name the label with label=NAME.")
    features = [name for name in names if name.startswith("feature_") and name != label]
    inputs = [name for name in names if name != label and name not in features]
    if not inputs:
        raise UserError(f"{path} has no input column beside {label!r} and the features.")
    stack = {"X": inputs, "features": features} if features else {"X": inputs}
    arrays = {key: np.stack([table.columns[name] for name in own], axis=1) for key, own in stack.items()}
    for key, own in stack.items():
        still = np.flatnonzero(np.ptp(arrays[key], axis=0) == 0)
        if len(still):
            raise UserError(f"{path}: column {own[still[0]]!r} is constant: remove it, it carries nothing.")
    labels = table.columns[label]
    if np.ptp(labels) == 0:
        raise UserError(f"{path}: label column {label!r} is constant ({labels[0]:g}): there is nothing to learn.")
    return {**arrays, "y": labels}, (table.read_as,)
