"""Put the explorer together as one self-contained page: python docs/explorer/build.py DIRECTORY."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("theory", "training", "colour", "draw", "map", "points", "controls", "overlay", "panels", "wiring", "page")
MOST_BYTES = 200_000


def page() -> str:
    """The page as text: style and scripts inlined, in a scope of their own."""
    parts = {name: (HERE / name).read_text(encoding="utf-8") for name in ("index.html", "style.css")}
    scripts = "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{scripts}\n}})();'
    if "</script" in script:
        raise ValueError("A script contains </script and would end early; write it in two parts.")
    return parts["index.html"].replace("/*STYLE*/", parts["style.css"]).replace("/*SCRIPT*/", script)


def build(directory: Path) -> Path:
    """Write `directory/index.html` and return its path."""
    text = page()
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"The explorer has {len(text.encode())} bytes; it must stay below {MOST_BYTES}.")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
