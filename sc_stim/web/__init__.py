"""Server-rendered pages. They need no outside address and no script."""

from flask import Flask


def install(app: Flask) -> None:
    """Register every page with the app."""
