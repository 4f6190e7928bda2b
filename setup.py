"""Only what pyproject.toml cannot say: the package takes its front-end libraries from npm when it is built."""

import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPages(build_py):
    def run(self) -> None:
        if not self.editable_mode:  # `make install` takes them for a checkout
            subprocess.run([sys.executable, Path(__file__).parent / "frontend" / "build.py"], check=True)
        super().run()


setup(cmdclass={"build_py": BuildWithPages})
