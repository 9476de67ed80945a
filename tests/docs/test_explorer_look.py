"""How the explorer looks: nothing cut at any width, contrast in both themes, colours for colour-blind eyes."""

import numpy as np
import pytest
from screen import pixels, settled


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1320, 1000, 390])
def test_nothing_is_cut_and_both_themes_have_contrast(page, explorer, theme, width):
    page.resize(width, 1000)
    page.open(explorer, f"#theme={theme}&protocol=fine_tuning&noise=0.5")
    settled(page)
    wide = page.run("return [document.documentElement.scrollWidth, window.innerWidth];")
    assert wide[0] <= wide[1]
    cut = page.run("return [...document.querySelectorAll('button, th, td, h1, h2, label, output')].filter((e) => "
                   "e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != 'inline').length;")  # fmt: skip
    assert cut == 0
    over = page.run(
        "return [...document.querySelectorAll('table, canvas, .switch, .slider, figcaption')].filter((e) => "
        "e.getBoundingClientRect().right > e.closest('section, figure').getBoundingClientRect().right).length;"
    )
    assert over == 0
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
