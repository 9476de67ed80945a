"""Pages that open in any browser without a server or a network: one look, everything inside, all text escaped."""

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

STYLE = """
:root{--ink:#1b1f24;--soft:#5b6470;--line:#dfe3e8;--paper:#fff;--field:#f5f7f9;--link:#0b5cad;--bad:#a3331f;--good:#1f6f43}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#a2abb6;--line:#39414b;--paper:#171a1f;--field:#21262d;
--link:#79b8ff;--bad:#ff9b85;--good:#7fd1a0}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;
padding:0 1.2rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
p{margin:.5rem 0}a{color:var(--link)}.soft{color:var(--soft)}.bad{color:var(--bad)}.good{color:var(--good)}
code,pre{font:.88rem/1.5 ui-monospace,monospace;background:var(--field);border-radius:4px}
code{padding:.1em .3em;overflow-wrap:anywhere}pre{padding:.7rem .9rem;overflow-x:auto;white-space:pre-wrap}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft)}td.number,th.number{text-align:right}
figure{margin:1.4rem 0}figure img{max-width:100%;height:auto;background:#fff;border-radius:4px}
figcaption{color:var(--soft);font-size:.93rem;margin-top:.4rem}
details summary{cursor:pointer;color:var(--link)}nav ol{columns:2;padding-left:1.2rem}
"""
DENSITY = 1.6  # pixels of a picture to one of a page
MAX_IMAGE_BYTES = 400_000  # of one embedded picture; a larger one is reduced to a palette


def text(value: Any) -> str:
    """Any value as text that is safe inside a page and inside an attribute."""
    return html.escape(str(value), quote=True)


def document(title: str, body: str) -> str:
    """A whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[Any]], numbers: Iterable[int] = ()) -> str:
    """A table; `numbers` are the columns that hold numbers and stand to the right."""
    right = set(numbers)

    def row(cells: Iterable[Any], tag: str) -> str:
        out = [f"<{tag}{' class=number' if i in right else ''}>{text(c)}</{tag}>" for i, c in enumerate(cells)]
        return f"<tr>{''.join(out)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<div class="wide"><table><thead>{row(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def image(path: Path, alternative: str, limit: int = MAX_IMAGE_BYTES) -> str:
    """A PNG file inside the page; one above `limit` bytes is reduced in colours, then in size."""
    content = path.read_bytes()
    if len(content) > limit:
        content = _reduced(content, limit)
    data = base64.b64encode(content).decode()
    return f'<img alt="{text(alternative)}" src="data:image/png;base64,{data}">'


def width(path: Path) -> int:
    """Of a PNG file on a page, in pixels of the page: with it the letters of all figures have one size."""
    return round(int.from_bytes(path.read_bytes()[16:20], "big") / DENSITY)


def _reduced(content: bytes, limit: int) -> bytes:
    from PIL import Image

    picture = Image.open(io.BytesIO(content)).convert("RGB")
    for scale in (1.0, 0.75, 0.5, 0.35):
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        buffer = io.BytesIO()
        picture.resize(size, Image.Resampling.LANCZOS).quantize(128).save(buffer, "png", optimize=True)
        if buffer.tell() <= limit:
            break
    return buffer.getvalue()
