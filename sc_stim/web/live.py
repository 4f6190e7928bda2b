"""Pages that change by themselves: one look at the database for all viewers of a process, a line of news to each.

The news only says that something changed; the page then fetches its part again, as the person who looks at it, with
everything that guards and records a page. So nothing leaks here, and the cost for the database does not depend on how
many look. The address that a page listens on says what was there before the page was made: what changed between the
two is news as well.
"""

import datetime as dt
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import structlog
from flask import Flask, Response, current_app, g, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from sqlalchemy.exc import SQLAlchemyError

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.models import changes
from sc_stim.web.blueprint import pages
from sc_stim.workflows import health

LOOK_EVERY_S: Final = 2.0
ALIVE_EVERY_S: Final = 15.0  # the page warns when it has heard nothing for three times as long
LONGEST_S: Final = 600.0  # then the browser asks again, and its session is checked again
MOST_VIEWERS: Final = 40  # of one process: each holds one of its threads
LIVE_PAGES: Final = ("web.worklist", "web.find_on_worklist", "web.alerts")
BY_ITSELF: Final = "X-By-Itself"  # header of requests that no person made

log = structlog.get_logger(__name__)


class Watch:
    """Looks at the database while anybody is watching, and wakes the viewers whose clinic has news."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._news = threading.Condition()
        self._viewers: Counter[int] = Counter()  # by clinic
        self._seen: dict[int, changes.Mark] = {}
        self._looking = False

    def join(self, clinic_id: int) -> bool:
        """Whether there is room for one more viewer; each that joined leaves again."""
        with self._news:
            if self._viewers.total() >= MOST_VIEWERS:
                return False
            if clinic_id not in self._viewers:
                self._seen.pop(clinic_id, None)  # of the time before the last one left
            self._viewers[clinic_id] += 1
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look_on, name="live", daemon=True).start()
            return True

    def leave(self, clinic_id: int) -> None:
        with self._news:
            self._viewers[clinic_id] -= 1
            self._viewers += Counter()  # drops clinics without viewers

    def wait(self, clinic_id: int, seen: changes.Mark | None, timeout_s: float) -> changes.Mark | None:
        """What there is to see, once it differs from `seen` or the time is over."""
        with self._news:
            self._news.wait_for(lambda: self._seen.get(clinic_id) not in (None, seen), timeout_s)
            return self._seen.get(clinic_id, seen)

    def _look_on(self) -> None:
        while True:
            with self._news:
                clinics = list(self._viewers)
                if not clinics:
                    self._looking, self._seen = False, {}
                    return
            found = self._look(clinics)
            with self._news:
                self._seen = found
                self._news.notify_all()
            time.sleep(LOOK_EVERY_S)

    def _look(self, clinics: list[int]) -> dict[int, changes.Mark]:
        """A database that is away is news as well: the page then says so."""
        with self._app.app_context():
            try:
                parts = health.working(db.session, clock.now())
                well = tuple(name for name, part in parts.items() if not part.ok)
                marks = changes.marks(db.session, clinics)
                return {clinic: (_digest(mark), well) for clinic, mark in marks.items()}
            except SQLAlchemyError as error:
                log.warning("live_look_failed", error=type(error).__name__)
                return dict.fromkeys(clinics, ("database away",))


class QuietSessions(SecureCookieSessionInterface):
    """What a page does by itself does not count as somebody being there: it prolongs no session."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Static files are the same for everybody: browsers shall not fetch them again when the cookie changes."""
        if request.endpoint != "web.static":
            super().save_session(app, session, response)

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        if BY_ITSELF in request.headers or request.endpoint == "web.live":
            return session.modified
        return super().should_set_cookie(app, session)


def install(app: Flask) -> None:
    app.session_interface = QuietSessions()
    app.url_defaults(_say_what_was_there)
    app.extensions["live"] = Watch(app)


@pages.before_request
def _see_what_is_there() -> None:
    if request.endpoint in LIVE_PAGES and g.get("user"):
        clinic_id = g.user.clinic_id
        g.seen = _digest(changes.marks(db.session(), [clinic_id])[clinic_id])


def _say_what_was_there(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "web.live" and "seen" in g:
        values.setdefault("seen", g.seen)


def _digest(mark: changes.Mark) -> str:
    return hashlib.sha256(repr(mark).encode()).hexdigest()[:16]


@pages.get("/live", endpoint="live")
@requires("refills.read")
def live() -> Response:
    """Server-sent events: `changed` when the worklist has news, `alive` in between. 503 when too many look.

    `?seen=` is what was there before the page was made.
    """
    watch: Watch = current_app.extensions["live"]
    clinic_id = g.user.clinic_id
    db.session.rollback()  # the connection goes back: this request lasts
    if not watch.join(clinic_id):
        return Response(
            "Too many pages are live: this one looks again by itself.\n", 503, {"Retry-After": "60"}
        )
    answer = Response(_events(watch, clinic_id, request.args.get("seen")), mimetype="text/event-stream")
    answer.call_on_close(lambda: watch.leave(clinic_id))
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _events(watch: Watch, clinic_id: int, before: str | None) -> Iterator[str]:
    begun, seen = time.monotonic(), None
    yield _event("alive")
    while time.monotonic() - begun < LONGEST_S:
        now = watch.wait(clinic_id, seen, ALIVE_EVERY_S)
        yield _event("changed" if _is_news(before, seen, now) else "alive")
        seen = now


def _is_news(before: str | None, seen: changes.Mark | None, now: changes.Mark | None) -> bool:
    if seen is None:  # the first look: only the page itself can tell
        return before is not None and now is not None and now[0] != before
    return now != seen


def _event(name: str) -> str:
    return f"event: {name}\ndata: {dt.datetime.now(dt.UTC).isoformat(timespec='seconds')}\n\n"
