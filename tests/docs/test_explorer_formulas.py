"""The explorer's formulas, run in a browser, are those of tlx.theory."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from tlx import theory

COUNT, TOLERANCE = 2000, 1e-6
RISKS = """const [protocol, published, names, rows] = arguments;
const read = (v) => (v === "inf" ? Infinity : v);
return rows.map((row) => {
  const settings = Object.fromEntries(names.map((name, i) => [name, read(row[i])]));
  return String(window.tlx.FUNCTION(protocol, { ...settings, published }));
});"""


def _settings() -> dict[str, np.ndarray]:
    """Random settings, with the places where a formula changes form among them."""
    draw = np.random.default_rng(15)
    some = lambda values, odd, share=0.1: np.where(draw.random(COUNT) < share, odd, values)  # noqa: E731
    sources = np.exp(draw.uniform(math.log(0.05), math.log(8), COUNT))
    return {
        "theta": some(draw.uniform(0, np.pi, COUNT), draw.choice([0, np.pi / 3, np.pi / 2, np.pi], COUNT)),
        "ratio": some(draw.uniform(0.01, 3, COUNT), 1.0, 0.02),
        "noise": some(draw.uniform(0, 2, COUNT), 0.0),
        "depth": draw.choice([1, 2, 2.5, 3, 4, 6, 10], COUNT),
        "targetNorm": some(draw.uniform(0.1, 3, COUNT), 0.0, 0.02),
        "sourceNorm": some(draw.uniform(0.1, 3, COUNT), 0.0, 0.02),
        "sourceRatio": some(some(sources, np.inf, 0.4), 1.0, 0.02),
        "sourceNoise": some(draw.uniform(0, 2, COUNT), 0.0, 0.3),
    }


SETTINGS = _settings()


def in_browser(page, function, protocol, published=False, settings=SETTINGS):
    rows = [["inf" if v == np.inf else float(v) for v in row] for row in zip(*settings.values(), strict=True)]
    answers = page.run(RISKS.replace("FUNCTION", function), protocol, published, list(settings), rows)
    return np.array([float(a.replace("Infinity", "inf")) for a in answers])


def of_theory(protocol, published=False, at=SETTINGS):
    source = {"source_ratio": at["sourceRatio"], "source_noise_std": at["sourceNoise"], "source_norm": at["sourceNorm"]}
    norm = {"target_norm": at["targetNorm"]}
    if protocol == "scratch":
        return theory.scratch_risk(at["ratio"], at["noise"], **norm)
    if protocol == "linear_transfer":
        return theory.linear_transfer_risk(at["theta"], at["noise"], **norm, **source)
    numbers = at["theta"], at["ratio"], at["noise"]
    return theory.fine_tuning_risk(*numbers, depth=at["depth"], published=published, **norm, **source)


def assert_same(found, expected):
    expected = np.asarray(expected)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    error = np.abs(found[finite] - expected[finite]) / np.maximum(1, np.abs(expected[finite]))
    assert error.max() <= TOLERANCE


@pytest.mark.parametrize(
    ("protocol", "published"),
    [("scratch", False), ("linear_transfer", False), ("fine_tuning", False), ("fine_tuning", True)],
)
def test_risks_at_two_thousand_random_settings(page, x64, protocol, published):
    assert_same(in_browser(page, "risk", protocol, published), of_theory(protocol, published))


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("protocol", ["linear_transfer", "fine_tuning"])
def test_break_even_angles(page, x64, protocol, published):
    keep = (SETTINGS["targetNorm"] > 0) & (SETTINGS["sourceNorm"] > 0) & (SETTINGS["ratio"] != 1)
    keep &= (SETTINGS["sourceRatio"] != 1) | (SETTINGS["sourceNoise"] == 0)
    at = {name: values[keep] for name, values in SETTINGS.items()}
    expected = theory.break_even_angle(
        protocol, at["ratio"], at["noise"], depth=at["depth"], target_norm=at["targetNorm"],
        source_norm=at["sourceNorm"], source_ratio=at["sourceRatio"], source_noise_std=at["sourceNoise"],
        **({"published": published} if protocol == "fine_tuning" else {}),
    )  # fmt: skip
    assert_same(in_browser(page, "breakEvenAngle", protocol, published, at), expected)


def test_boundaries_are_those_of_the_theory(page, x64):
    angles, noises = np.array([0.3, 0.6, 0.9, 1.2, 1.5]), np.array([0.1, 0.2, 0.5, 1.0])
    for protocol in ("linear_transfer", "fine_tuning"):
        for angle in angles:
            for noise in noises:
                edges = np.asarray(theory.negative_transfer_boundary(protocol, angle, noise, depth=3))
                expected = np.sort(edges[np.isfinite(edges)])
                found = page.run("return window.tlx.boundary(arguments[0], arguments[1]);", protocol,
                                 {"theta": angle, "noise": noise, "depth": 3})  # fmt: skip
                np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=f"{protocol} {angle} {noise}")


def test_training_ends_where_the_theory_says(page, x64):
    at = {"theta": 0.8, "ratio": 0.4, "noise": 0.6, "depth": 3, "initScale": 0.1}
    for protocol in ("scratch", "linear_transfer", "fine_tuning"):
        path = page.run("return window.tlx.riskOverTime(arguments[0], [0, 1, 1e5], arguments[1]);", protocol, at)
        expected = theory.method_risk(protocol, 0.8, 0.4, 0.6, depth=3)
        # nothing of scratch's start is left: it lies along X^T y, which has no part that the data do not see
        assert path[-1] == pytest.approx(float(expected), rel=1e-5)
        start = 1.0 if protocol != "fine_tuning" else float(2 - 2 * jnp.cos(0.8))
        assert path[0] == pytest.approx(start, abs=0.01)


def test_settings_without_meaning_are_refused_in_one_sentence(page):
    bad = [{"theta": 4}, {"ratio": 0}, {"noise": -1}, {"depth": 0.5}, {"sourceRatio": -1}, {"noise": "0.2"}]
    for given in bad:
        said = page.run(
            "try { window.tlx.risk('fine_tuning', arguments[0]); return ''; } catch (e) { return e.message; }", given
        )
        name = next(iter(given))
        assert said.startswith(f"{name} is "), given
        assert said.count(";") == 1, given
    assert "pass one of scratch" in page.run("try { window.tlx.risk('x', {}); } catch (e) { return e.message; }")
