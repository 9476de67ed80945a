"""Scores of a pretrained model for a classification target: NCE, LEEP and TransRate."""

import numpy as np
from jaxtyping import Float, Int, Real

from tlx._checks import check_positive, require


def nce(source_labels: Int[np.ndarray, "n"], labels: Int[np.ndarray, "n"]) -> float:
    """Negative conditional entropy -H(Y | Z) of the target classes given the source's; larger promises better transfer.

    NCE = (1/n) sum_i log p(y_i | z_i), p(y | z) the fractions in the sample.

    Args:
        source_labels: z, shape (n,), the classes that the pretrained model assigns (integers).
        labels: y, shape (n,), the target classes (integers).

    Returns:
        Nats a sample, at most 0; 0 where the source's class fixes the target's.

    Source: Tran, Nguyen, Hassner, "Transferability and hardness of supervised classification tasks", ICCV 2019.
    """
    source_labels, labels = _classes("source_labels", source_labels), _classes("labels", labels)
    require(
        source_labels.shape == labels.shape,
        f"source_labels have shape {source_labels.shape} and labels {labels.shape}: give one of each a row.",
    )
    joint = np.zeros((source_labels.max() + 1, labels.max() + 1))
    np.add.at(joint, (source_labels, labels), 1.0)
    return float(np.mean(np.log((joint / joint.sum(axis=1, keepdims=True))[source_labels, labels])))


def leep(probabilities: Real[np.ndarray, "n z"], labels: Int[np.ndarray, "n"]) -> float:
    """Log expected empirical prediction of the target classes by the source's; larger promises better transfer.

    LEEP = (1/n) sum_i log sum_z p(y_i | z) q_iz,  p(y | z) = sum_i 1[y_i = y] q_iz / sum_i q_iz.

    Args:
        probabilities: q, shape (n, z), the pretrained model's class probabilities; rows sum to 1.
        labels: y, shape (n,), the target classes (integers).

    Returns:
        Nats a sample, at most 0.

    Source: Nguyen, Hassner, Seeger, Archambeau, "LEEP: a new measure to evaluate transferability of learned
    representations", ICML 2020.
    """
    labels = _classes("labels", labels)
    probabilities = np.asarray(probabilities, dtype=float)
    require(
        probabilities.ndim == 2 and len(probabilities) == len(labels),
        f"probabilities have shape {probabilities.shape} for {len(labels)} labels: give one row a label.",
    )
    require(
        np.all(probabilities >= 0) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-4),
        "probabilities must be non-negative and each row must sum to 1: apply softmax to scores.",
    )
    hot = np.eye(labels.max() + 1)[labels]
    joint = hot.T @ probabilities  # (y, z)
    conditional = joint / joint.sum(axis=0, keepdims=True).clip(1e-300)
    return float(np.mean(np.log(np.sum((probabilities @ conditional.T) * hot, axis=1))))


def trans_rate(features: Real[np.ndarray, "n k"], labels: Int[np.ndarray, "n"], *, distortion: float = 1e-4) -> float:
    """Coding rate of the features less that within classes; larger promises better transfer.

    TrR = R(F) - sum_c (n_c/n) R(F_c),  R(F) = (1/2) log det(I + F_cᵀ F_c/(n e)),  features centred, e the distortion.

    Args:
        features: F, shape (n, k), n >= 2; centred here, and scaled to mean squared row length 1.
        labels: y, shape (n,), the target classes (integers), at least two.
        distortion: e > 0.

    Returns:
        Nats; it grows as e shrinks, so compare only at one distortion.

    Source: Huang, Huang, Rong, Yang, Wei, "Frustratingly easy transferability estimation", ICML 2022.
    """
    check_positive("distortion", distortion)
    labels = _classes("labels", labels)
    features = np.asarray(features, dtype=float)
    require(
        features.ndim == 2 and len(features) == len(labels),
        f"features have shape {features.shape} for {len(labels)} labels: give one row a label.",
    )
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"features[{row}, {column}] = {features[row, column]}: remove or impute it.")
    centred = features - features.mean(axis=0)
    centred = centred / max(np.sqrt(np.mean(np.sum(centred**2, axis=1))), 1e-300)
    within = sum(_rate(centred[labels == c], distortion) * np.mean(labels == c) for c in np.unique(labels))
    return _rate(centred, distortion) - float(within)


def _rate(rows: Float[np.ndarray, "n k"], distortion: float) -> float:
    count, width = rows.shape
    gram = rows @ rows.T if count <= width else rows.T @ rows
    return 0.5 * float(np.linalg.slogdet(np.eye(len(gram)) + gram / (count * distortion))[1])


def _classes(name: str, value) -> np.ndarray:
    """Classes as 0, 1, ... in the order of their values."""
    array = np.asarray(value)
    require(array.ndim == 1 and array.size >= 2, f"{name} have shape {array.shape}: a vector of at least 2 is needed.")
    require(np.issubdtype(array.dtype, np.integer), f"{name} have dtype {array.dtype}: classes are integers.")
    _, codes = np.unique(array, return_inverse=True)
    if name == "labels":
        require(codes.max() > 0, f"labels are all {array[0]}: there is nothing to tell apart.")
    return codes
