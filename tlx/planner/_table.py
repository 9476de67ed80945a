"""Plain text: aligned tables and wrapped sentences."""

import textwrap

import numpy as np

WIDTH = 80
TITLES = {
    "scratch": "linear regression on the inputs (scratch)",
    "linear_transfer": "probe (linear transfer)",
    "fine_tuning": "fine-tuning",
    "ridge_scratch": "ridge regression on the inputs",
    "ridge_probe": "probe with its best ridge",
    "l2_sp": "L2-SP: ridge towards the source",
    "source_ridge": "ridge orthogonal to the source",
    "null": "null: the mean label",
    "source_as_is": "the source as it is",
}


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table: the first column left-aligned, the others right-aligned."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    out = []
    for row in [header, ["-" * w for w in widths], *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        out.append("  ".join(cells).rstrip())
    return out


def number(value: float, digits: int = 3) -> str:
    """A number in `digits` figures, or "-" where there is none."""
    if value is None or np.isnan(value):
        return "-"
    return "inf" if np.isinf(value) else f"{value:.{digits}g}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """[low, high]."""
    return "-" if np.isnan(low) or np.isnan(high) else f"[{number(low, digits)}, {number(high, digits)}]"


def sentences(lines: list[str], indent: str = "  ") -> list[str]:
    """Each line wrapped, with a hanging indent."""
    out: list[str] = []
    for line in lines:
        out += textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
    return out
