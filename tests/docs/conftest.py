"""One browser and one explorer page for all tests of the pages; skipped with the reason where there is no Chromium."""

import runpy
from pathlib import Path

import pytest
import webdriver

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def browser():
    if reason := webdriver.missing():
        pytest.skip(reason)
    with webdriver.chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def explorer(tmp_path_factory):
    """The page, built anew."""
    build = runpy.run_path(str(ROOT / "docs" / "explorer" / "build.py"))["build"]
    return build(tmp_path_factory.mktemp("site") / "explorer")


@pytest.fixture
def page(browser, explorer):
    """The browser with the explorer just opened; nothing may be complained of, or asked of the network."""
    browser.resize(1320, 1000)
    browser.complaints(), browser.requests()
    browser.open(explorer)
    yield browser
    assert browser.complaints() == []
    away = [url for url in browser.requests() if not url.startswith(("file:", "data:", "blob:", "about:", "chrome:"))]
    assert away == []
