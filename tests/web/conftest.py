from tests.apps import app, apps, time  # noqa: F401
from tests.web.pages import statements, visit  # noqa: F401
from tests.web.scene import scene  # noqa: F401
