"""Optimal transport and linear programs, left to SciPy (the extra `transport`), imported only when asked for."""

import numpy as np


def _scipy(module: str):
    import importlib

    try:
        return importlib.import_module(f"scipy.{module}")
    except ImportError as error:
        raise ImportError("Sample transport distances need SciPy: pip install 'tlx[transport]'.") from error


def distances(source: np.ndarray, target: np.ndarray, metric: str) -> np.ndarray:
    """Matrix of ground distances between the rows of two samples."""
    return _scipy("spatial.distance").cdist(source, target, metric)


def assignment_cost(costs: np.ndarray) -> float:
    """Least mean cost of a one-to-one assignment."""
    rows, columns = _scipy("optimize").linear_sum_assignment(costs)
    return float(np.mean(costs[rows, columns]))


def maximize(objective: np.ndarray, matrix, upper: np.ndarray, bounds: list) -> np.ndarray:
    """The maximiser of objective . f subject to matrix f <= upper and bounds, by HiGHS."""
    result = _scipy("optimize").linprog(-objective, A_ub=matrix, b_ub=upper, bounds=bounds, method="highs")
    if result.status != 0:
        raise RuntimeError(f"the linear program was not solved: {result.message}")
    return result.x


def sparse_rows(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]):
    """A sparse matrix from its entries."""
    return _scipy("sparse").csr_matrix((values, (rows, columns)), shape=shape)
