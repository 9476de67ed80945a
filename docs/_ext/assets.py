"""What the site carries besides its pages: MathJax, the explorer, the figures' look."""

import runpy
import shutil
from pathlib import Path

import mathjax
import matplotlib.pyplot as plt
from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]


def reset_figures(gallery_conf: dict, _name: str) -> None:
    """Every example of the gallery starts from the look of the figures on the pages."""
    plt.rcParams.update(runpy.run_path(str(DOCS / "conf.py"))["plot_rcparams"])


def _add(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    (out / "_static" / "mathjax").mkdir(parents=True, exist_ok=True)
    source = Path(mathjax.__file__).parent / "static" / "mathjax" / "es5" / "tex-svg.js"
    shutil.copy(source, out / "_static" / "mathjax" / source.name)
    runpy.run_path(str(DOCS / "explorer" / "build.py"))["build"](out / "explorer")


def setup(app: Sphinx) -> dict[str, bool]:
    """After the pages, their assets."""
    app.connect("build-finished", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
