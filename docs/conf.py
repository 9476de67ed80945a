"""How the site is built: sphinx-build -W docs site (`make docs`). Nothing is asked of the network."""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

import matplotlib

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
os.environ.setdefault("JAX_PLATFORMS", "cpu")
matplotlib.use("Agg")

project, author, copyright = "tlx", "the tlx authors", "the tlx authors, MIT licence"
release = version = installed("tlx")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "reference",
    "assets",
]
highlight_language = "text"
nitpicky = True  # every reference to something of tlx must lead somewhere; other projects' pages are on the network
nitpick_ignore_regex = [("py:.*", r"(?!tlx\b).*")]
exclude_patterns = ["_ext", "explorer", "examples", "**.ipynb", "gallery/**.md5", "sg_execution_times.rst"]
templates_path = []
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
math_number_all = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
napoleon_use_ivar = True

plot_include_source = True
plot_html_show_source_link = plot_html_show_formats = False
plot_formats = [("svg", 100)]
plot_rcparams = {
    "figure.figsize": (6.4, 3.6),
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
    "axes.prop_cycle": matplotlib.cycler(color=["#d55e00", "#0068b5", "#2b2b2b", "#12a37c", "#d186b8"]),
    "savefig.bbox": "tight",
}
plot_apply_rcparams = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "show_signature": False,
    "matplotlib_animations": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "reset_modules": ("matplotlib", "assets.reset_figures"),
}

# MathJax lies inside the site: `assets` copies it from the package django-static-mathjax.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}

html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_title = "tlx"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "explore": [], "index": []},
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
    "back_to_top_button": True,
}
html_sidebars = {
    "start": [],
    "explore": [],
    "changelog": [],
    "errata": [],
    "clusters": [],
    "contributing": [],
    "references": [],
}
