"""The documentation site that `make docs` left in site/: links, images, formulas, nothing from the network.

Skipped where the site has not been built; CI builds it first.
"""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import tlx

SITE = Path(__file__).parents[2] / "site"
pytestmark = pytest.mark.skipif(not (SITE / "objects.inv").exists(), reason="site/ has not been built: make docs")
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


class Page(HTMLParser):
    """The names that a page can be entered by, what it links to, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads, self.plain = set(), [], [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if given.get(LOADED.get(tag, "")) and given.get("rel") not in ("index", "search", "next", "prev"):
            self.loads.append(given[LOADED[tag]])


@pytest.fixture(scope="module")
def pages():
    found = {path: Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}
    assert len(found) > 40
    return found


def target(page, address):
    """The file that a relative address means, and its anchor."""
    parts = urlsplit(address)
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return (path / "index.html" if path.is_dir() else path), unquote(parts.fragment)


def test_every_internal_link_leads_somewhere(pages):
    broken = []
    for page, content in pages.items():
        for address in content.links + content.loads:
            if urlsplit(address).scheme:
                continue
            path, anchor = target(page, address)
            known = not anchor or path not in pages or anchor in pages[path].anchors or anchor.startswith("_")
            if not path.exists() or not known:
                broken.append(f"{page.relative_to(SITE)}: {address}")
    assert broken == []


def test_nothing_is_loaded_from_the_network(pages):
    away = {a for content in pages.values() for a in content.loads if urlsplit(a).scheme in ("http", "https")}
    assert away == set()


def test_every_public_function_has_its_place(pages):
    reference = set().union(*(content.anchors for page, content in pages.items() if page.parent.name == "reference"))
    modules = [tlx.theory, tlx.kernels, tlx.discrepancy, tlx.planner, tlx.ensemble, tlx.feature_scores]
    for module in modules:
        for name, value in vars(module).items():
            if callable(value) and not name.startswith("_") and getattr(value, "__doc__", None):
                assert f"{module.__name__}.{name}" in reference


def _parts(count, share):
    """Every `count`-th page: a browser opens them in parts, so that a failure names few."""
    every = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts)
    return every[share::count]


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
def test_every_page_in_a_browser(browser, share):
    """No complaint in the console, no request off the disk, every image there, every formula typeset."""
    for name in _parts(4, share):
        browser.complaints(), browser.requests()
        browser.open(SITE / name)
        browser.wait("return document.readyState === 'complete' && (!window.MathJax || !MathJax.startup || "
                     "!document.querySelector('.math') || document.querySelector('mjx-container'));")  # fmt: skip
        assert browser.complaints() == [], name
        away = [
            url for url in browser.requests() if not url.startswith(("file:", "data:", "blob:", "about:", "chrome:"))
        ]
        assert away == [], name
        missing = browser.run("return [...document.images].filter((i) => i.complete && !i.naturalWidth && "
                              "i.getAttribute('src')).map((i) => i.src);")  # fmt: skip
        assert missing == [], name
        assert browser.run("return document.querySelectorAll('mjx-merror, [data-mjx-error]').length;") == 0, name
