"""The web process: gunicorn around the app."""

from typing import Any

from gunicorn.app.base import BaseApplication

from sc_stim.app import create_app
from sc_stim.settings import Settings
from sc_stim.tasks.watch import WEB
from sc_stim.watchman import Watchman

THREADS = 48  # a page that is live holds one, and does nothing with it
WORKERS = 2


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        for name, value in {
            "bind": f"{settings.web_host}:{settings.web_port}",
            # SQLite has one writer at a time: a second process would only wait for it.
            "workers": 1 if settings.is_sqlite else WORKERS,
            "threads": THREADS,
            "worker_class": "gthread",
            "timeout": 60,
            "graceful_timeout": 10,
            "accesslog": None,
            "loglevel": settings.log_level.lower(),
            "control_socket_disable": True,
        }.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """In each worker after the fork, so that none shares a database connection."""
        app = create_app(self._settings)
        Watchman(app, WEB).start()
        return app


def serve(settings: Settings) -> None:
    """Serve until a signal."""
    _Server(settings).run()
