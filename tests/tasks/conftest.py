from tests.apps import app, apps, time  # noqa: F401
