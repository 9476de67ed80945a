"""What a page shows: its pixels, once the next frame has been drawn."""

import base64
import io

import numpy as np
from matplotlib.image import imread


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
