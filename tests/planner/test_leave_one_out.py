"""Closed-form leave-one-out against n separate fits."""

import numpy as np
import pytest

from tlx.planner import leave_one_out as loo


def separate(inputs, known, labels, penalty):
    """n fits, each on the other n - 1 rows, the columns of `known` unpenalised."""
    out = []
    for i in range(len(labels)):
        rows = np.delete(np.arange(len(labels)), i)
        b, w, y = known[rows], inputs[rows], labels[rows]
        design = np.concatenate([b, w], axis=1)
        size = np.concatenate([np.zeros(b.shape[1]), np.full(w.shape[1], penalty)])
        if penalty > 0:
            fit = np.linalg.solve(design.T @ design + np.diag(size), design.T @ y)
        else:  # minimum norm in the penalised part: regress out B first
            q = np.eye(len(rows)) - b @ np.linalg.pinv(b)
            weights = np.linalg.pinv(q @ w) @ (q @ y)
            fit = np.concatenate([np.linalg.lstsq(b, y - w @ weights, rcond=None)[0], weights])
        out.append(labels[i] - np.concatenate([known[i], inputs[i]]) @ fit)
    return np.array(out)


@pytest.mark.parametrize(("count", "dim"), [(20, 6), (20, 18), (15, 40)])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_closed_form_is_n_separate_fits(count, dim, penalty):
    rng = np.random.default_rng([count, dim])
    inputs, labels = rng.normal(size=(count, dim)), rng.normal(size=(count, 2))
    known = np.concatenate([np.ones((count, 1)), rng.normal(size=(count, 1))], axis=1)
    smoother = loo.of_inputs(inputs, known)
    if penalty:
        found = loo.residuals(smoother, labels, np.array([penalty / smoother.level]))[0]
    else:
        found = loo.at_zero(smoother, labels).residuals
    np.testing.assert_allclose(found, separate(inputs, known, labels, penalty), rtol=1e-5, atol=1e-7)


def test_kernel_and_inputs_agree_and_the_grid_is_searched():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(30, 10))
    labels = (inputs[:, 0] + 0.5 * rng.normal(size=30))[:, None]
    ones = np.ones((30, 1))
    one, two = loo.of_inputs(inputs, ones), loo.of_kernel(inputs @ inputs.T, ones)
    a, b = loo.tune(one, labels), loo.tune(two, labels)
    np.testing.assert_allclose(a.residuals, b.residuals, rtol=1e-6)
    errors = [np.mean(loo.residuals(one, labels, np.array([p]))[0] ** 2) for p in loo.GRID]
    assert np.mean(a.row_errors) == pytest.approx(min(errors), rel=1e-12)


def test_a_row_that_is_fitted_whatever_its_label_is_nan():
    known = np.concatenate([np.ones((6, 1)), np.eye(6)[:, :1]], axis=1)
    found = loo.unpenalised(known, np.arange(6.0)[:, None]).residuals[:, 0]
    assert np.isnan(found[0])
    np.testing.assert_allclose(
        found[1:], separate(np.zeros((5, 1)), np.ones((5, 1)), np.arange(1.0, 6.0), 1.0), atol=1e-12
    )
