"""The explorer in a real browser: first picture, frames, keys, pointer, links, measured points, no request, no error."""

import base64
import io
import json
import math

import numpy as np
import pytest
import webdriver
from matplotlib.image import imread

STATE = "const s = window.tlx.state(); return { ...s, time: String(s.time), sourceRatio: String(s.sourceRatio) };"
UNDER = "return document.getElementById('under').textContent;"
FRAMES = """const [key, from, to] = arguments, input = document.getElementById(key);
window.frames_ = null;
const times = [], count = 40;
function next(now) {
  times.push(now);
  if (times.length > count) { window.frames_ = times.slice(1).map((t, i) => t - times[i]); return; }
  input.value = from + (to - from) * times.length / count;
  input.dispatchEvent(new Event("input"));
  requestAnimationFrame(next);
}
window.tlx.stats.frames.length = 0;
requestAnimationFrame(next);"""
WORLD = {
    "format": "tlx-explorer-1",
    "title": "a study",
    "settings": {"noise": 0.3, "depth": 3, "targetNorm": 1, "sourceNorm": 1.5, "sourceRatio": None, "sourceNoise": 0},
    "points": [
        {"protocol": protocol, "theta": theta, "ratio": ratio, "risk": 0.5, "error": 0.02, "instances": 20}
        for protocol in ("scratch", "linear_transfer", "fine_tuning")
        for theta in (0.3, 0.8, 1.3)
        for ratio in (0.4, 0.8, 1.6)
    ],
}


def pixels(png):
    """Height x width x 3, from 0 to 255."""
    return np.round(255 * imread(io.BytesIO(png))[..., :3])


def on_canvas(page, identity):
    """The pixels of a canvas."""
    return pixels(
        base64.b64decode(page.run(f"return document.getElementById('{identity}').toDataURL();").split(",")[1])
    )


def settled(page):
    """After the next frame has been drawn."""
    page.run(
        "window.seen_ = false; requestAnimationFrame(() => requestAnimationFrame(() => { window.seen_ = true; }));"
    )
    page.wait("return window.seen_;")


def test_the_page_is_one_small_file(explorer):
    content = explorer.read_text(encoding="utf-8")
    assert len(content.encode()) < 200_000
    assert "http://" not in content.replace("http://www.w3.org/2000/svg", "") and "https://" not in content
    assert [path.name for path in explorer.parent.iterdir()] == ["index.html"]


def test_first_picture_within_a_second(browser, explorer):
    times = []
    for _ in range(3):
        browser.open(explorer)
        times.append(browser.wait("return window.tlx.stats.firstPicture;"))
    assert min(times) <= 1000
    image = on_canvas(browser, "map")
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize(
    ("key", "view"), [("noise", ""), ("sourceNoise", "#protocol=fine_tuning&depth=4&sourceRatio=2")]
)
def test_thirty_frames_a_second_while_a_slider_moves(page, explorer, key, view):
    page.open(explorer, view)
    rates = []
    for _ in range(3):
        page.run(FRAMES, key, 5, 115)
        gaps = page.wait("return window.frames_;", 60)
        rates.append(1000 / np.median(gaps))
        assert page.run("return window.tlx.stats.frames.length;") >= 30  # each of them was drawn
    assert round(max(rates)) >= 30  # the screen shows whole sixtieths of a second
    assert page.run(STATE)[key] == pytest.approx(115 / 60, abs=0.01)


def test_keys_move_the_cross_and_the_sliders(page):
    before = page.run(STATE)
    page.press("#map", "Right", "Right", "Up")
    settled(page)
    after = page.run(STATE)
    assert after["ratio"] == pytest.approx(before["ratio"] + 0.02)
    assert after["theta"] == pytest.approx(before["theta"] + math.pi / 180)
    page.press("#depth", "Right")
    page.press("#sourceRatio", "Left")
    settled(page)
    assert page.run(STATE)["depth"] == 3 and page.run(STATE)["sourceRatio"] == "8"
    page.press("[data-value=linear_transfer]", "Right")
    settled(page)
    assert page.run(STATE)["protocol"] == "fine_tuning"
    assert page.run("return document.activeElement.dataset.value;") == "fine_tuning"


def test_every_control_can_be_reached_with_tab(page):
    reached = set()
    for _ in range(30):
        page.call("actions", {"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": webdriver.KEYS["Tab"]}, {"type": "keyUp", "value": webdriver.KEYS["Tab"]}]}]})  # fmt: skip
        reached.add(page.run("const a = document.activeElement; return a.id || a.dataset.value || '';"))
    wanted = {"copy", "open", "reset", "theme", "map", "noise", "depth", "targetNorm", "sourceNorm", "sourceRatio",
              "sourceNoise", "time", "linear_transfer", "gain"}  # fmt: skip
    assert wanted <= reached


def test_pointer_reads_the_value_and_a_press_moves_the_cross(page):
    page.point("#map", 0.3, 0.4)
    settled(page)
    said = page.run(UNDER)
    assert said.startswith("Under the pointer") and page.run(STATE)["ratio"] == 0.5
    page.point("#map", 0.3, 0.4, press=True)
    settled(page)
    at = page.run(STATE)
    assert at["ratio"] != 0.5
    number = page.run("return window.tlx.risk('linear_transfer', { theta: arguments[0], noise: 0.2 });", at["theta"])
    assert f"risk {float(f'{number:.3g}'):g}" in page.run(UNDER)


def test_a_link_restores_the_view(page, explorer):
    page.click("[data-value=fine_tuning]")
    page.click("[data-value=risk]")
    page.press("#noise", "Right", "Right", "Right")
    page.press("#map", "Left", "Down")
    settled(page)
    state, fragment = page.run(STATE), page.wait("return location.hash.includes('theta') && location.hash;")
    page.open(explorer, fragment)
    settled(page)
    restored = page.run(STATE)
    assert restored.pop("theta") == pytest.approx(state.pop("theta"), rel=1e-5)
    assert restored == state
    page.open(explorer, "#noise=-3&depth=abc&theta=&ratio=1e9x&protocol=%3Cb%3E&show=constructor&sourceRatio=Infinity")
    settled(page)
    assert page.run(STATE) == page.run("document.getElementById('reset').click(); " + STATE)


def test_training_time_changes_map_and_readout(page):
    page.press("#time", *["Left"] * 60)
    page.wait("return !document.getElementById('under').textContent.includes('refined');", 60)
    settled(page)
    assert "at time" in page.run("return document.getElementById('map-title').textContent;")
    early = on_canvas(page, "map")
    page.press("#time", "End")
    settled(page)
    late = on_canvas(page, "map")
    assert "end of training" in page.run("return document.getElementById('map-title').textContent;")
    assert np.mean(np.any(early != late, axis=-1)) > 0.3


def test_measured_points_lie_over_the_theory(page):
    bare = on_canvas(page, "angle-slice")
    assert page.run("return window.tlx.load(arguments[0]);", json.dumps(WORLD)) is True
    settled(page)
    state = page.run(STATE)
    assert (state["noise"], state["depth"], state["sourceNorm"]) == (0.3, 3, 1.5)
    assert "points at" in page.run("return document.getElementById('angle-title').textContent;")
    assert "27 measured points" in page.run("return document.getElementById('message').textContent;")
    assert np.any(bare != on_canvas(page, "angle-slice"))


def test_a_file_that_is_no_export_is_refused_in_words(page):
    broken = [
        ("{", "not JSON"),
        ("{}", "format undefined"),
        (json.dumps({**WORLD, "points": [{**WORLD["points"][0], "risk": None}]}), "Point 0 has risk null"),
        (json.dumps({**WORLD, "points": [{**WORLD["points"][0], "protocol": "magic"}]}), "protocol magic"),
        (json.dumps({**WORLD, "settings": {"noise": -1}}), "noise is -1"),
    ]
    for text, words in broken:
        assert page.run("return window.tlx.load(arguments[0]);", text) is False
        assert words in page.run("return document.getElementById('message').textContent;")
    title = "<img src=x onerror=alert(1)>"
    page.run("return window.tlx.load(arguments[0]);", json.dumps({**WORLD, "title": title}))
    assert title in page.run("return document.getElementById('message').textContent;")
    assert page.run("return document.querySelectorAll('#message *').length;") == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1320, 500])
def test_nothing_is_cut_and_both_themes_have_contrast(page, explorer, theme, width):
    page.resize(width, 1000)
    page.open(explorer, f"#theme={theme}&protocol=fine_tuning&noise=0.5")
    settled(page)
    wide = page.run("return [document.documentElement.scrollWidth, window.innerWidth];")
    assert wide[0] <= wide[1]
    cut = page.run("return [...document.querySelectorAll('button, th, td, h1, h2, label, output')].filter((e) => "
                   "e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline').length;")  # fmt: skip
    assert cut == 0
    image = pixels(page.screenshot())
    brightness = image @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.median(brightness) < 60) if theme == "dark" else (np.median(brightness) > 200)
    names = ["ink", "soft", "scratch", "linear", "tuned"]
    colours = page.run("const s = getComputedStyle(document.documentElement); return arguments[0].map((n) => "
                       "s.getPropertyValue('--' + n).trim());", [*names, "card"])  # fmt: skip
    for name, colour in zip(names, colours, strict=False):
        assert contrast(colour, colours[-1]) >= (4.5 if name in ("ink", "soft") else 3), name


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG defines it."""

    def light(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ np.array([0.2126, 0.7152, 0.0722])

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_differ_to_colour_blind_eyes(page):
    """The two ends of the map and the three protocols, through the eyes of protanopes, deuteranopes and tritanopes."""
    blind = {  # Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    colours = page.run("const s = getComputedStyle(document.documentElement); return ['scratch', 'linear', 'tuned']."
                       "map((n) => s.getPropertyValue('--' + n).trim());")  # fmt: skip
    sets = [[[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], [[33, 102, 172], [178, 24, 43]]]
    for eye, matrix in blind.items():
        for group in sets:
            seen = [np.clip(np.array(matrix) @ (np.array(c) / 255) ** 2.2, 0, 1) ** (1 / 2.2) * 255 for c in group]
            apart = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :]]
            assert min(apart) > 40, (eye, apart)
