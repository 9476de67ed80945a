"""Figures can be read, whoever looks; what they show stands in results.nc, statistics over usable instances alone."""

import figure_checks
import numpy as np
import pytest
import small
import synthetic
import xarray as xr
from matplotlib import pyplot
from matplotlib.colors import to_rgb

from experiments.advice.config import Part
from experiments.figures import heat, style
from experiments.running import grid, store
from experiments.running import study as studies
from tlx.glossary import Protocol
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


@pytest.mark.slow
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
    np.testing.assert_allclose(shown[2], kept.mean(1), rtol=1e-6)  # float32
    np.testing.assert_allclose(shown[3], kept.std(1, ddof=1) / np.sqrt(3), rtol=1e-6)


@pytest.mark.slow
def test_the_heat_map_shows_the_transferability_of_the_file(results):
    data = read(results("phase_diagram"))
    figure = small.study("phase_diagram").figures["phase_diagram"](data)
    shown = figure.axes[0].collections[0].get_array()
    known = shown[:, ~np.isnan(shown).all(0)][~np.isnan(shown).all(1)]
    np.testing.assert_allclose(known, data.transferability.sel(protocol="linear_transfer").values.T)


@pytest.mark.slow
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


def test_every_protocol_has_a_look_of_its_own():
    """A colour and a marker each; by both together nothing else is drawn."""
    assert set(style.LOOKS) == set(Protocol)
    for kind in ("colour", "marker", "label"):
        assert len({getattr(look, kind) for look in style.LOOKS.values()}) == len(Protocol)


VIEWS = {  # linear RGB as seen without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1)
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("view", VIEWS)
def test_colours_stay_apart_for_every_eye(view):
    """At least 15 units of CIE Lab between any two protocols (2.3 is what an eye can just tell)."""
    light = figure_checks.linear([to_rgb(look.colour) for look in style.LOOKS.values()])
    seen = figure_checks.lab(np.clip(light @ np.asarray(VIEWS[view]).T, 0, 1))
    gap = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 1e3 * np.eye(len(seen))
    assert gap.min() > 15


def test_symbols_are_typeset():
    assert style.typeset("d = 10, σ_s = 0.2, |β_t| = 2, n/d = 1") == (
        r"$d$ = 10, $\sigma_s$ = 0.2, $\|\beta_t\|$ = 2, $n/d$ = 1"
    )
    assert style.typeset("covariance j^-1.5, engine full") == "covariance $j^{-1.5}$, engine full"
    assert style.in_pi(3 * np.pi / 8) == r"3\pi/8"
    assert style.in_pi(0.4) == r"0.127\,\pi"


def test_cells_are_drawn_where_something_was_measured():
    low, high = heat.extents(np.array([0.2, 0.4, 0.6, 1.4, 1.7, 2.0]))
    np.testing.assert_allclose(low, [0.1, 0.3, 0.5, 1.25, 1.55, 1.85])
    np.testing.assert_allclose(high, [0.3, 0.5, 0.7, 1.55, 1.85, 2.15])


def test_a_pole_does_not_bleach_the_scale():
    field = np.full((20, 20), 0.3)
    field[:, 9] = 19.0
    assert heat.signed_norm(field).vmax < 1


EVERY = [(small.owner(path), path.stem) for path in small.PRESETS]
EVERY += [(study, None) for study in small.SMALL if study not in {owner for owner, _ in EVERY}]
FIRST = dict(reversed(EVERY))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "preset", "look"),
    [pytest.param(*one, "talk", marks=pytest.mark.extended) for one in EVERY]
    + [pytest.param(*one, "paper", marks=pytest.mark.thorough) for one in FIRST.items()],
)
def test_every_figure_can_be_read(study, preset, look):
    """No text over text or off the canvas, no legend over data, no white map; and every figure has its caption."""
    if study == "real_data":
        small.installed(*Part)
    data = synthetic.data(study, preset).assign_attrs(figure_style=look)
    chosen = small.composed(study, [f"experiment={preset}"] if preset else []).figures or small.study(study).figures
    for name in chosen:
        figure = small.study(study).figures[name](data)
        assert figure_checks.overlapping(figure) == [], name
        assert figure_checks.outside(figure) == [], name
        assert figure_checks.covering(figure) == [], name
        assert [one for one in figure_checks.maps(figure) if one[1] < 0.8] == [], name
        assert len(figure.get_label()) > 100, name
        assert figure.get_size_inches()[0] in (style.COLUMN, style.PAGE) or look == "talk", name
        pyplot.close(figure)


def test_the_checks_find_what_is_wrong():
    """Each of them fails on a figure that is made wrong on purpose."""
    figure, panel = pyplot.subplots()
    panel.plot([0, 1], [0, 1], label="line")
    panel.legend(loc="center")
    figure.text(0.5, 0.5, "one")
    figure.text(0.5, 0.5, "two")
    figure.text(0.99, 0.5, "far outside of the canvas")
    panel.pcolormesh(np.eye(8), cmap="RdBu_r", vmin=-100, vmax=100)
    figure.draw_without_rendering()
    assert ("one", "two") in figure_checks.overlapping(figure)
    assert figure_checks.outside(figure) == ["far outside of the canvas"]
    assert figure_checks.covering(figure)
    assert figure_checks.maps(figure)[0][1] > 0.8  # what is nothing may be white
    panel.collections[0].set_array(np.linspace(0.1, 1, 64).reshape(8, 8))
    assert figure_checks.maps(figure)[0][1] == 0
    pyplot.close(figure)


def test_edges_lie_between_centres():
    np.testing.assert_allclose(grid.edges(np.array([1.0, 2.0, 4.0])), [0.5, 1.5, 3.0, 5.0])
