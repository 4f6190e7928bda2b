"""Looking after the parts of the system, and telling people directly when one has stopped.

The worker looks as one of its jobs, the web and the ingest process each in a thread of their own (`sc_stim.watchman`),
so that a part that has stopped is noticed by another process. Messages about outages are sent by whoever looks: the
worker that usually sends may be what has stopped.
"""

import datetime as dt
from collections.abc import Callable

from sqlalchemy.orm import Session

from sc_stim.models import Heartbeat, Message
from sc_stim.tasks.delivery import deliver
from sc_stim.workflows import outages
from sc_stim.workflows.health import Part, process, ready
from sc_stim.workflows.transport import Send

WEB = "web"
WEB_S = 60  # its watchman looks every 15 s
SEND_FOR = dt.timedelta(seconds=20)


def watch(session: Session, send: Send, at: dt.datetime, ping_cache: Callable[[], object]) -> dict[str, Part]:
    """Look once, tell what is to be told; returns the parts. Commits. While the database is away, it only looks."""
    parts = ready(session, at, ping_cache)
    if not parts["database"].ok:
        return parts
    web = session.get(Heartbeat, WEB)
    if web is not None:
        parts[WEB] = process(web, WEB_S, at)
    outages.look(session, parts, at)
    session.commit()
    deliver(session, send, until=at + SEND_FOR, which=Message.kind == outages.KIND)
    return parts
