"""Results of version 0.1 read as those of today: the dimension `protocol` was called `method`."""

from typing import Any

import xarray as xr

from experiments.running.unit_file import Arrays

OLD, NEW = "method", "protocol"


def modern(data: xr.Dataset) -> xr.Dataset:
    """A data set of any version with today's names."""
    return data.rename({OLD: NEW}) if OLD in data.dims else data


def modern_unit(arrays: Arrays) -> Arrays:
    """A unit's arrays of any version with today's names."""
    return {key: (tuple(NEW if d == OLD else d for d in dims), values) for key, (dims, values) in arrays.items()}


def identity(science: dict[str, Any], axes: dict[str, Any]) -> dict[str, Any]:
    """What names a unit, in the words of version 0.1, so that its units are found again."""
    return {**science, "axes": {OLD if name == NEW else name: values for name, values in axes.items()}}
