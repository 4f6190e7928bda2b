"""The Celery app, its settings, queue name and the whole beat table.

Celery only wakes workers up. What is owed stands in `work_item`; a sweep finds what the queue lost. So no task has
an ETA, results are not kept, arguments are ids, and Redis is never the only copy of anything.
"""

import datetime as dt
import gc
from collections.abc import Callable
from typing import Any, cast

from celery import Celery, Task  # type: ignore[import-untyped]
from celery.signals import worker_process_init  # type: ignore[import-untyped]
from flask import Flask, has_app_context

from sc_stim.extensions import db
from sc_stim.settings import Settings

QUEUE = "sc_stim"
WORK_OFF = "sc_stim.work_off"
ASK_NIGHTLY = "sc_stim.ask_nightly"
FIND_SILENT = "sc_stim.find_silent"
FOLLOW_THERAPY = "sc_stim.follow_therapy"
EXPIRE = "sc_stim.expire"
NOTIFY = "sc_stim.notify"
DELIVER = "sc_stim.deliver"
WATCH = "sc_stim.watch"
LONG_WORK = "sc_stim.long_work"

celery = Celery("sc_stim", include=["sc_stim.tasks.jobs"])

Job = Callable[[], None]


def task(name: str) -> Callable[[Job], Job]:
    """Make a job what beat can send and workers run; calling it runs it here."""
    return cast(Callable[[Job], Job], celery.task(name=name))


class AppTask(Task):  # type: ignore[misc]
    """Runs in the app that calls it; in a worker, where none does, in the one that is bound."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_app_context():
            return self.run(*args, **kwargs)
        with celery.conf.flask_app.app_context():
            return self.run(*args, **kwargs)


def bind(app: Flask, settings: Settings) -> None:
    """Configure Celery for this app; every task runs inside its context and commits for itself."""

    celery.Task = AppTask
    celery.conf.update(
        broker_url=settings.redis_url,
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 900, "unacked_restore_throttle": 1},
        enable_utc=True,
        timezone="UTC",
        beat_schedule=beat_table(settings),
        flask_app=app,
    )
    app.extensions["celery"] = celery


def beat_table(settings: Settings) -> dict[str, dict[str, Any]]:
    """When everything runs. Nothing here depends on being sent once: two beats do no effect twice."""
    poll = dt.timedelta(seconds=settings.work_poll_s)

    def entry(task: str, every: dt.timedelta) -> dict[str, Any]:
        expires = {"expires": max(every.total_seconds(), 30)}  # a backlog of stale ticks helps nobody
        return {"task": task, "schedule": every, "options": expires}

    return {
        "work_off": entry(WORK_OFF, poll),
        "find_silent": entry(FIND_SILENT, dt.timedelta(minutes=1)),
        "follow_therapy": entry(FOLLOW_THERAPY, dt.timedelta(minutes=1)),
        "ask_nightly": entry(ASK_NIGHTLY, dt.timedelta(minutes=1)),
        "expire": entry(EXPIRE, dt.timedelta(minutes=1)),
        "notify": entry(NOTIFY, poll),
        "deliver": entry(DELIVER, poll),
        "long_work": entry(LONG_WORK, poll),
        "watch": entry(WATCH, dt.timedelta(seconds=30)),
    }


@worker_process_init.connect  # type: ignore[untyped-decorator]
def collect_rarely(**_: Any) -> None:
    """A chunk makes many objects, few of them in cycles: looking for those took a fifth of a night."""
    gc.set_threshold(50_000)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _own_connections(**_: Any) -> None:
    """A database connection shared across a fork corrupts both sides' conversation."""
    app = celery.conf.get("flask_app")
    if app is not None:
        with app.app_context():
            db.engine.dispose(close=False)
