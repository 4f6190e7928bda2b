"""A label before the camera of a browser: printed by its engine, filmed by a camera that plays a file."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

PRINTER = Path(__file__).parents[2] / "frontend" / "node_modules" / "bwip-js" / "dist" / "bwip-js-min.js"
SIZE = (640, 480)
WHITE, BLACK, GREY = b"\xeb", b"\x10", b"\x80"  # of video, which has neither 0 nor 255
DOT = 8  # pixels

Rows = list[list[int]]


def printed(chromium: Browser, symbology: str, udi: str) -> Rows:
    """The dots of a label, 1 for black; `udi` as people read it, with brackets."""
    page = chromium.new_page()
    page.evaluate(PRINTER.read_text())
    drawn: dict[str, Any] = page.evaluate(
        "([kind, text]) => { const [code] = bwipjs.raw(kind, text, {});"
        " return code.pixs ? code : { bars: [...code.sbs] } }",
        [symbology, udi],
    )
    page.close()
    if "bars" in drawn:  # widths of bar, space, bar, ...
        row = [1 - index % 2 for index, width in enumerate(drawn["bars"]) for _ in range(width)]
        return [row] * (len(row) // 6)
    width = drawn["pixx"]
    return [drawn["pixs"][start : start + width] for start in range(0, len(drawn["pixs"]), width)]


def film(rows: Rows, path: Path) -> Path:
    """A short uncompressed film of the label in the middle of a white sheet."""
    width, height = SIZE
    dot = min(DOT, (width - 40) // len(rows[0]))
    left = (width - dot * len(rows[0])) // 2
    lines = [
        (WHITE * left + b"".join((BLACK if one else WHITE) * dot for one in row)).ljust(width, WHITE)
        for row in rows
        for _ in range(dot)
    ]
    above = (height - len(lines)) // 2
    grey = b"".join([WHITE * width] * above + lines).ljust(width * height, WHITE)
    frame = b"FRAME\n" + grey + GREY * (width * height // 2)
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 3)
    return path
