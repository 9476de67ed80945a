"""A table in a text file: encoding, delimiter, decimal mark and header are found, and said."""

import csv
import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.running.study import UserError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", ".", "#n/a", "<na>"))
_LOOKED_AT = 30  # rows in which the delimiter is looked for


class Table(NamedTuple):
    """Columns of numbers by name, the row of the file in which the first of them stands, and how it was read."""

    columns: dict[str, np.ndarray]
    first_row: int
    read_as: str


def read_text(path: Path, delimiter: str | None = None, encoding: str | None = None) -> Table:
    """The table of a CSV or TSV file; every row after the header must be numbers, and none may be missing.

    Raises:
        UserError: it is no table of numbers; the message names the row (the header is row 1) and the column.
    """
    text, name = decoded(path, encoding)
    cut = delimiter or found_delimiter(text)
    if cut not in DELIMITERS and len(cut) != 1:
        raise UserError(f"delimiter = {cut!r} must be one character, such as ';' or ','.")
    cells = _cells(path, text, cut)
    comma = cut != "," and _decimal_comma(cells)
    if comma:
        cells = cells.map(lambda entry: entry.replace(",", "."))
    header = not all(_is_number(entry) for entry in cells.iloc[0])
    names = [str(entry).strip() for entry in cells.iloc[0]] if header else None
    body = cells.iloc[1:] if header else cells
    names = names or [f"column_{j + 1}" for j in range(cells.shape[1])]
    if len(body) < 3:
        raise UserError(f"{path} has {len(body)} row(s) of data; at least 3 are needed.")
    _check_names(path, names)
    first = 2 if header else 1
    columns = {label: _numbers(path, label, body.iloc[:, j], first) for j, label in enumerate(names)}
    index = names[0] == "" and np.array_equal(np.diff(columns[""]), np.ones(len(body) - 1))
    if index:
        del columns[""]
    return Table(columns, first, _said(path, body, name, cut, header, comma, index))


def decoded(path: Path, encoding: str | None = None) -> tuple[str, str]:
    """A file's text, and the encoding it was read in: UTF-8 with or without a mark, UTF-16, else Latin-1."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    if encoding is None:
        encoding = _found_encoding(content)
    try:
        text = content.decode(encoding)
    except LookupError:
        raise UserError(f"encoding = {encoding!r} is not known; try utf-8, utf-16 or latin-1.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not {encoding} (byte {error.start}); leave encoding= out to have it found."
        ) from None
    if not text.strip():
        raise UserError(f"{path} is empty.")
    if "\0" in text:
        raise UserError(f"{path} holds zero bytes: it is not a text file; give .csv, .tsv, .parquet or .npz.")
    return text, encoding


def _found_encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if content.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    head = content[:2000]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(zeros) > 3 and zeros.count(0) > 0.8 * len(zeros):
            return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def found_delimiter(text: str) -> str:
    """The delimiter that cuts the first rows into equally many entries, the most of them; a comma if none does."""
    lines = [line for line in text.splitlines() if line.strip()][:_LOOKED_AT]
    best, most = ",", 1
    for delimiter in (";", "\t", ",", "|", " "):
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        usual = max(set(widths), key=widths.count)
        if usual > most and widths.count(usual) >= 0.9 * len(widths) and not (delimiter == "," and best == ";"):
            best, most = delimiter, usual
    return best


def _cells(path: Path, text: str, delimiter: str) -> pd.DataFrame:
    """Every entry as text; blank rows at the end are left out."""
    options = {"header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cells = pd.read_csv(io.StringIO(text), sep=delimiter, skipinitialspace=True, **options)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        why = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise UserError(f"{path} is not a table separated by {DELIMITERS.get(delimiter, delimiter)} ({why}).") from None
    cells = cells.fillna("").map(str.strip)
    filled = np.flatnonzero((cells != "").any(axis=1))
    return cells.iloc[: filled[-1] + 1]


def _decimal_comma(cells: pd.DataFrame) -> bool:
    """Whether numbers are written 1,5: all entries are numbers once a comma in them is a point."""
    entries = [entry for entry in cells.iloc[1:_LOOKED_AT].to_numpy().ravel() if entry.lower() not in MISSING]
    commas = [entry for entry in entries if "," in entry]
    return bool(commas) and all(_is_number(entry.replace(",", ".", 1)) for entry in entries)


def _is_number(entry: str) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return entry.lower() not in MISSING


def _check_names(path: Path, names: list[str]) -> None:
    for j, name in enumerate(names):
        if name in names[:j]:
            raise UserError(f"{path} has two columns called {name!r}: rename one of them.")
        if not name and j:
            raise UserError(f"{path}: column {j + 1} has no name in the header: name it.")


def _numbers(path: Path, name: str, entries: pd.Series, first: int) -> np.ndarray:
    values = pd.to_numeric(entries, errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return values
    absent = [i for i in bad if entries.iloc[i].lower() in MISSING]
    i = next((i for i in bad if entries.iloc[i].lower() not in MISSING), bad[0])
    where = f"{path} row {first + i}{' (the header is row 1)' if first == 2 else ''}, column {name!r}"
    entry = entries.iloc[i]
    if len(absent) == len(bad):
        more = f", and {len(absent) - 1} more in this column" if len(absent) > 1 else ""
        raise UserError(f"{where} is missing{more}: remove the row or fill the value in.")
    if np.isinf(values[i]):
        raise UserError(f"{where} is {entry}: remove the row or put a finite number there.")
    raise UserError(f"{where}: {entry!r} is {_kind(entry)}; {_remedy(entry)}")


def _kind(entry: str) -> str:
    try:
        complex(entry)
    except ValueError:
        return "text, not a number"
    return "a complex number"


def _remedy(entry: str) -> str:
    if _kind(entry) == "a complex number":
        return "give real numbers, such as its real and imaginary part in two columns."
    return "give numbers (for classes of several names see tlx.planner.plan_network with classes=True)."


def _said(path, body, encoding, delimiter, header, comma, index) -> str:
    marks = ", decimal commas" if comma else ""
    head = "header in row 1" if header else f"no header (columns are called column_1 to column_{body.shape[1]})"
    rows = f"{len(body):,} rows of {body.shape[1]:,} columns"
    left = "; the first column numbers the rows and is left out" if index else ""
    cut = DELIMITERS.get(delimiter, repr(delimiter))
    return f"{path.name}: {encoding}, separated by {cut}{marks}, {head}, {rows}{left}."
