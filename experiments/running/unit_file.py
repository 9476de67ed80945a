"""The file of one unit: a NetCDF-4 file that says which unit it is and which part of the axes its arrays cover.

Reading it never executes code: NetCDF holds numbers and text.
"""

import json
from importlib.metadata import version
from typing import Any

import netCDF4
import numpy as np

FORMAT = 2  # of the file and its receipt
VERSION = version("tlx")

Arrays = dict[str, tuple[tuple[str, ...], np.ndarray]]


def encode(arrays: Arrays, identity: dict[str, Any]) -> bytes:
    """A unit as one file in memory; `identity` (unit, study, axes, ...) becomes its attributes."""
    file = netCDF4.Dataset("unit", mode="w", memory=65536)
    for key, value in identity.items():
        file.setncattr(key, value if isinstance(value, str) else json.dumps(value))
    for name, (dims, values) in arrays.items():
        for dim, size in zip(dims, values.shape, strict=True):
            if dim not in file.dimensions:
                file.createDimension(dim, size)
        kind = np.dtype(np.int8) if values.dtype == bool else values.dtype
        packed = {"zlib": True, "complevel": 1} if values.size > 4096 else {}
        variable = file.createVariable(name, kind, dims, **packed)
        if values.dtype == bool:
            variable.setncattr("dtype", "bool")  # as xarray marks it
        variable[...] = values
    return bytes(file.close())


def fault(content: bytes, identity: dict[str, Any]) -> str:
    """What is wrong with a unit's file; "" if it is the unit of this identity and its arrays fill their axes."""
    try:
        with netCDF4.Dataset("unit", mode="r", memory=content) as file:
            if identity["format"] == 1:  # of version 0.1, which wrote nothing but the arrays
                return "" if file.variables else "holds no array"
            for key in ("unit", "study", "format"):
                found = getattr(file, key, None)
                if found != str(identity[key]):
                    return f"holds {key} {found} instead of {identity[key]}"
            if json.loads(file.getncattr("axes")) != identity["axes"]:
                return "holds another part of the axes than its receipt says"
            for name, variable in file.variables.items():
                wrong = misfit(name, variable.dimensions, variable.shape, identity["axes"])
                if wrong:
                    return wrong
            return "" if file.variables else "holds no array"
    except (OSError, AttributeError, ValueError, RuntimeError):
        return "is not a NetCDF file of a unit"


def misfit(name: str, dims: tuple[str, ...], shape: tuple[int, ...], axes: dict[str, list]) -> str:
    """Why an array does not lie on these axes; "" if it does."""
    lengths = tuple(len(axes[d]) if d in axes else None for d in dims)
    return "" if lengths == tuple(shape) else f"holds {name} with shape {shape} on {', '.join(dims)} of {lengths}"


def decode(content: bytes) -> Arrays:
    """The arrays of a unit's file."""
    with netCDF4.Dataset("unit", mode="r", memory=content) as file:
        file.set_auto_maskandscale(False)
        out: Arrays = {}
        for name, variable in file.variables.items():
            values = np.asarray(variable[...])
            out[name] = (variable.dimensions, values.astype(bool) if "dtype" in variable.ncattrs() else values)
        return out
