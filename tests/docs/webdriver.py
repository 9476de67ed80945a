"""Chromium, driven through the W3C WebDriver protocol over the loopback: what the tests of the pages need, no more."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key under which the protocol hands over an element
KEYS = {"Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015", "Tab": "\ue004", "End": "\ue010"}


def missing() -> str:
    """Why there is no browser here, or nothing."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} cannot be found (Debian: chromium, chromium-driver)" if absent else ""


class Browser:
    """One window. Scripts run in the page; what it asked for and what it complained of can be read afterwards."""

    def __init__(self, address: str, session: str) -> None:
        self.root = f"{address}/session/{session}"

    def call(self, path: str, content: dict[str, Any] | None = None) -> Any:
        """One command of the protocol."""
        return _call(f"{self.root}/{path}", {} if content is None else content)

    def open(self, page: Path, fragment: str = "") -> None:
        """A file, from disk, loaded anew."""
        self.call("url", {"url": "about:blank"})
        self.call("url", {"url": page.resolve().as_uri() + fragment})

    def run(self, script: str, *values: Any) -> Any:
        """The value that the body of a function returns in the page."""
        return self.call("execute/sync", {"script": script, "args": list(values)})

    def wait(self, script: str, seconds: float = 20.0) -> Any:
        """Until the body of a function returns something true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds:g} s still not so: {script}")
            time.sleep(0.05)
        return value

    def find(self, selector: str) -> str:
        """The element of a selector."""
        return self.call("element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector: str) -> None:
        """A click as a user makes it: scrolled into view, and refused if something lies over it."""
        self.call(f"element/{self.find(selector)}/click")

    def press(self, selector: str, *keys: str) -> None:
        """Keys typed into an element."""
        self.call(f"element/{self.find(selector)}/value", {"text": "".join(KEYS.get(key, key) for key in keys)})

    def tab(self) -> None:
        """The Tab key, pressed wherever the focus is."""
        strokes = [{"type": kind, "value": KEYS["Tab"]} for kind in ("keyDown", "keyUp")]
        self.call("actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def point(self, selector: str, right: float, down: float, press: bool = False) -> None:
        """The pointer moved to a place in an element (shares of its width and height), and pressed there."""
        box = self.run("const b = document.querySelector(arguments[0]).getBoundingClientRect(); "
                       "return [b.left, b.top, b.width, b.height];", selector)  # fmt: skip
        at = {"x": round(box[0] + right * box[2]), "y": round(box[1] + down * box[3])}
        actions = [{"type": "pointerMove", "duration": 0, **at}]
        if press:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.call("actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def resize(self, width: int, height: int) -> None:
        """The size of the window."""
        self.call("window/rect", {"width": width, "height": height})

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(_call(f"{self.root}/screenshot"))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        entries = self.call("se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """Every address asked for since the last call."""
        entries = [json.loads(e["message"])["message"] for e in self.call("se/log", {"type": "performance"})]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]


def _call(address: str, content: dict[str, Any] | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None


@contextmanager
def chromium(width: int = 1320, height: int = 1000) -> Iterator[Browser]:
    """A browser with a profile of its own, ended with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["chromedriver", "--port=0", "--allowed-ips=127.0.0.1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
            try:
                address = f"http://127.0.0.1:{_port(driver)}"
                options = {"args": [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]}
                wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
                opened = _call(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})
                browser = Browser(address, opened["sessionId"])
                yield browser
                urllib.request.urlopen(urllib.request.Request(browser.root, method="DELETE"), timeout=30).close()
            finally:
                driver.terminate()


def _port(driver: subprocess.Popen) -> str:
    for line in driver.stdout:
        if found := re.search(r"started successfully on port (\d+)", line):
            return found[1]
    raise RuntimeError("chromedriver ended before it listened")
