from tests.apps import api, app, apps, time  # noqa: F401
