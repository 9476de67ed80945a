"""Checking and whitening the pilot sample: every refusal names the row, the column or the shape."""

from typing import NamedTuple

import numpy as np

from tlx._checks import require
from tlx.planner._evidence import duplicates


class Pilot(NamedTuple):
    """Whitened `inputs` (n, d), `labels` (n,), `source` (d,) or None, `features` (n, k) or None; what was assumed.

    `columns` are the inputs before whitening, centred; `whitening` is "given", "identity", "diagonal" or "estimate".
    """

    inputs: np.ndarray
    labels: np.ndarray
    source: np.ndarray | None
    features: np.ndarray | None
    lost_dof: int
    notes: tuple[str, ...]
    columns: np.ndarray
    whitening: str

    @property
    def constant(self) -> np.ndarray:
        """The column of ones that centring stands for, (n, 1), or (n, 0) without centring."""
        return np.ones((len(self.labels), self.lost_dof))


def prepare(inputs, labels, source, features, covariance, further_inputs, center: bool) -> Pilot:
    """The checked pilot sample in whitened coordinates."""
    inputs, labels = matrix("inputs", inputs), vector("labels", labels)
    count, dim = inputs.shape
    require(len(labels) == count, f"inputs have {count} rows and labels {len(labels)}: give one label a row.")
    require(count >= 3, f"n = {count} rows: the planner needs at least 3 labelled rows.")
    require(
        (source is None) != (features is None),
        "Give one of source= (d,), a pretrained predictor, and features= (n, k), a pretrained feature map.",
    )
    check_varies("inputs", inputs)
    require(np.ptp(labels) > 0, f"labels are constant ({labels[0]}): nothing to learn.")
    if source is not None:
        source = vector("source", source)
        require(len(source) == dim, f"source has shape ({len(source)},), inputs have {dim} columns: they must agree.")
        require(np.any(source != 0), "source is zero: a predictor that predicts nothing has no direction.")
    if features is not None:
        features = _features(features, count)
    further = None if further_inputs is None else _further(further_inputs, dim)
    mean = np.mean(inputs if further is None else np.concatenate([inputs, further]), axis=0)
    notes = [] if center else ["Means are taken to be zero."]
    if center:
        inputs, labels = inputs - mean, labels - np.mean(labels)
        features = None if features is None else features - np.mean(features, axis=0)
        further = None if further is None else further - mean
    root, note, whitening = _square_root(inputs, further, covariance)
    columns = inputs
    if root is not None:
        inputs = np.linalg.solve(root, inputs.T).T if root.ndim == 2 else inputs / root
        source = None if source is None else (root.T @ source if root.ndim == 2 else root * source)
    return Pilot(inputs, labels, source, features, int(center), (*notes, note), columns, whitening)


def matrix(name: str, value) -> np.ndarray:
    """`value` as a finite float64 matrix."""
    array = _numbers(name, value)
    require(array.ndim == 2, f"{name} has shape {array.shape}: a matrix with one row a sample is needed.")
    require(array.size > 0, f"{name} has shape {array.shape}: it is empty.")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{name}[{row}, {column}] = {array[row, column]} (row {row}, column {column}): remove or impute it."
        )
    return array


def vector(name: str, value) -> np.ndarray:
    """`value` as a finite float64 vector."""
    array = _numbers(name, value)
    require(array.ndim == 1, f"{name} has shape {array.shape}: a vector is needed.")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] = {array[bad[0]]} (row {bad[0]}): remove or impute it.")
    return array


def check_varies(name: str, array: np.ndarray) -> None:
    """Refuse a constant column."""
    constant = np.flatnonzero(np.ptp(array, axis=0) == 0)
    if len(constant):
        column = constant[0]
        raise ValueError(f"{name} column {column} is constant ({array[0, column]}): remove it, it carries nothing.")


def _numbers(name: str, value) -> np.ndarray:
    array = np.asarray(value)
    require(
        np.issubdtype(array.dtype, np.number) and not np.issubdtype(array.dtype, np.complexfloating),
        f"{name} has dtype {array.dtype}: real numbers are needed.",
    )
    return array.astype(np.float64)


def _features(features, count: int) -> np.ndarray:
    features = matrix("features", features)
    rows, width = features.shape
    require(
        rows == count,
        f"features have shape {features.shape} for {count} rows of inputs: give one feature row a sample.",
    )
    check_varies("features", features)
    centred = features - np.mean(features, axis=0)
    rank = int(np.linalg.matrix_rank(centred))
    require(
        width < count - 1,
        f"features have shape {features.shape}: {width} features leave no residual in {count} rows; "
        f"give at most {count - 2} features or collect {width + 2 - count} more rows.",
    )
    require(rank == width, f"features have shape {features.shape} but rank {rank}: remove columns that repeat others.")
    return features


def _further(further_inputs, dim: int) -> np.ndarray:
    further = matrix("further_inputs", further_inputs)
    require(
        further.shape[1] == dim,
        f"further_inputs have shape {further.shape}, inputs have {dim} columns: the width must agree.",
    )
    return further


def _square_root(inputs, further, covariance) -> tuple[np.ndarray | None, str, str]:
    """A root L of the covariance (L Lᵀ; a vector if diagonal; None if the identity), the assumption, and its name."""
    rows = inputs if further is None else np.concatenate([inputs, further])
    count, dim = rows.shape
    if not isinstance(covariance, str):
        root = _known_root(matrix("covariance", covariance), dim)
        return root, "Input covariance as given; plan for whitened inputs.", "given"
    choices = ("auto", "identity", "diagonal", "estimate")
    require(covariance in choices, f"covariance = {covariance!r} is not one of {', '.join(choices)}, nor a matrix.")
    if covariance == "auto":
        covariance = "identity" if _looks_isotropic(rows) else "estimate" if count >= 2 * dim else "diagonal"
    if covariance == "identity":
        note = "Inputs are taken to be isotropic (unit covariance)."
        return None, note if _looks_isotropic(rows) else note + " They do not look it: see covariance=.", "identity"
    if covariance == "diagonal":
        note = "Columns scaled to unit variance and taken to be uncorrelated; plan for inputs so scaled."
        return np.sqrt(np.mean(rows**2, axis=0)), note, "diagonal"
    require(
        count > dim + 1,
        f"covariance of {dim} columns from {count} rows is singular: give further_inputs, a matrix, or 'diagonal'.",
    )
    pair = duplicates(rows)
    require(pair is None, f"inputs columns {pair} repeat each other, up to sign and scale: remove one of each pair.")
    note = f"Inputs whitened by the covariance of {count} rows; plan for whitened inputs."
    return _known_root(rows.T @ rows / count, dim), note, "estimate"


def _known_root(covariance: np.ndarray, dim: int) -> np.ndarray:
    require(covariance.shape == (dim, dim), f"covariance has shape {covariance.shape}, inputs have {dim} columns.")
    require(np.allclose(covariance, covariance.T), "covariance is not symmetric.")
    values, vectors = np.linalg.eigh(covariance)
    require(
        values[0] > dim * np.finfo(float).eps * values[-1],
        f"covariance has smallest eigenvalue {values[0]:.3g}: it must be positive definite (a repeated column?).",
    )
    return (vectors * np.sqrt(values)) @ vectors.T


def _looks_isotropic(rows: np.ndarray) -> bool:
    """Whether trace and squared trace of the covariance are those of the identity within 5 standard errors.

    Unbiased U-statistics: t1 = tr S / d (standard error sqrt(2/(n d))), t2 = sum_{i != j} (x_i.x_j)² / (n (n-1) d)
    (standard error about 2/n beside that of t1, doubled).
    """
    count, dim = rows.shape
    if count < 3:
        return True
    gram = rows @ rows.T if count <= dim else rows.T @ rows
    norms = np.sum(rows**2, axis=1)
    first = np.sum(norms) / (count * dim)
    second = (np.sum(gram**2) - np.sum(norms**2)) / (count * (count - 1) * dim)
    error = np.sqrt(2 / (count * dim)) + 1 / count
    return bool(abs(first - 1) < 5 * error and abs(second - 1) < 5 * (2 * error + 2 / count))
