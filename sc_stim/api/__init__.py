"""The REST API under /api/v1, one file per resource."""

from flask import Flask


def install(app: Flask) -> None:
    """Register every resource with the app."""
