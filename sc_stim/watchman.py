"""A thread of the web and ingest processes that looks after the other parts (`tasks.watch`).

While the database is away nothing can be written down, so each watchman tells the operator and the contacts it saw last
by itself, once: with several processes the same news may come from each.
"""

import datetime as dt
import threading
from typing import Final

import structlog
from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.tasks.watch import WEB, watch
from sc_stim.workflows import outages
from sc_stim.workflows.health import Part, ping_cache
from sc_stim.workflows.heartbeat import beat
from sc_stim.workflows.messaging import OPERATOR
from sc_stim.workflows.transport import NotDelivered, Send

log = structlog.get_logger(__name__)

EVERY_S: Final = 15.0


class Watchman:
    """`role`: the process it runs in; the one in `web` also says that web works."""

    def __init__(self, app: Flask, role: str) -> None:
        self._app = app
        self._role = role
        self._send: Send = app.extensions["transport"]
        self._known: list[outages.RECIPIENT] = [(None, OPERATOR, "")]
        self._away_since: dt.datetime | None = None
        self._told = False

    def start(self) -> None:
        """Look every `EVERY_S` until the process ends."""
        threading.Thread(target=self._run, name="watchman", daemon=True).start()

    def look(self) -> None:
        """Look once."""
        at = clock.now()
        redis_url = self._app.config["SETTINGS"].redis_url
        with self._app.app_context():
            try:
                parts = watch(db.session(), self._send, at, lambda: ping_cache(redis_url))
                self._note_database(parts["database"], at)
                if parts["database"].ok:
                    self._known = outages.recipients(db.session())
                    if self._role == WEB:
                        beat(db.session(), WEB, at)
                    db.session.commit()
            except (DBAPIError, PoolTimeout) as error:
                db.session.rollback()
                log.warning("watchman_database_error", problem=type(error).__name__)
                self._note_database(Part(False, "does not answer"), at)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # it must look again, whatever it met
                log.exception("watchman_failed", problem=type(error).__name__)
            threading.Event().wait(EVERY_S)

    def _note_database(self, part: Part, at: dt.datetime) -> None:
        if part.ok:
            if self._told:
                self._tell("sc_stim: database recovered", "sc_stim: the database answers again.")
            self._away_since, self._told = None, False
            return
        self._away_since = self._away_since or at
        if not self._told and at - self._away_since >= outages.GRACE:
            self._told = True
            self._tell("sc_stim: database stopped", outages.stopped("database", part.why))

    def _tell(self, title: str, text: str) -> None:
        for _, channel, address in self._known:
            try:
                self._send(channel, address, title, text)
            except NotDelivered as error:
                log.error("outage_not_told", channel=channel, problem=error.problem)
