"""What a figure shows stands in results.nc, and its statistics are those of usable instances."""

import numpy as np
import small
import xarray as xr

from experiments.running import grid, store
from experiments.running import study as studies
from tlx.train import Status


def read(directory):
    with xr.open_dataset(directory / "results.nc") as data:
        return data.load()


def bars(panel):
    """(label, x, y, half length) of every error bar of a panel."""
    for container in panel.containers:
        line, _, (segments,) = container
        ends = np.array([s[:, 1] for s in segments.get_segments()])
        x, y = np.asarray(line.get_xydata(), float).T
        yield container.get_label(), x, y, (ends[:, 1] - ends[:, 0]) / 2


def test_the_ridge_figure_shows_standard_errors_over_usable_instances():
    """One of four instances failed: its risk is in no mean, and the error divides by the root of three."""
    own = small.study("phase_diagram")
    words = ["linear_transfer.ridges=[0.0,0.1]", "ensemble.num_instances=4", "engine=flow"]
    config = small.composed("phase_diagram", [*small.SMALL["phase_diagram"], *words])
    axes = own.axes(config)
    parts = [(unit.place, own.compute(config, unit.place, lambda lanes: None)) for unit in studies.units(own, config)]
    for _, arrays in parts:
        arrays["status"][1][1, :, :, 3] = Status.DIVERGED
        arrays["risk_by_ridge"][1][..., 3] = 1e6
    data = own.finish(config, store.assemble(parts, axes))
    figure = own.figures["ridges"](data)
    shown = next(bars(figure.axes[0]))
    kept = data.risk_by_ridge.isel(theta=0, sample_ratio=-1).values[:, :3]
    np.testing.assert_allclose(shown[2], kept.mean(1))
    np.testing.assert_allclose(shown[3], kept.std(1, ddof=1) / np.sqrt(3), rtol=1e-6)


def test_the_heat_map_shows_the_transferability_of_the_file(results):
    data = read(results("phase_diagram"))
    figure = small.study("phase_diagram").figures["phase_diagram"](data)
    shown = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(shown, data.transferability.sel(protocol="linear_transfer").values.T)


def test_slices_show_the_means_and_errors_of_the_file(results):
    data = read(results("phase_diagram"))
    panel = small.study("phase_diagram").figures["slices"](data).axes[0]
    found = list(bars(panel))
    assert len(found) == 3
    for (_, x, y, error), protocol in zip(found, data.protocol.values):
        one = data.sel(protocol=protocol, theta=0.4)
        np.testing.assert_allclose(x, data.sample_ratio)
        np.testing.assert_allclose(y, one.risk_mean)
        np.testing.assert_allclose(error, one.risk_standard_error, rtol=1e-5)


def test_importing_a_figure_changes_no_style_table():
    from experiments.figures import style

    before = dict(style.COLOURS), dict(style.LABELS)

    assert before == (style.COLOURS, style.LABELS)
    assert set(style.COLOURS) == set(style.LABELS)


def test_edges_lie_between_centres():
    np.testing.assert_allclose(grid.edges(np.array([1.0, 2.0, 4.0])), [0.5, 1.5, 3.0, 5.0])
