"""One night's judgement of everybody, in a process of its own. Reads a job, prints what it took; see `sweep`."""

import datetime as dt
import json
import resource
import sys
import time
from typing import Any

import psycopg
from sqlalchemy import Engine, event, func, select

from benchmarks.stand import application
from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Alert, Forecast, WorkItem
from sc_stim.tasks.celery_app import collect_rarely
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.upkeep import ask_nightly
from sc_stim.tasks.work import work_off
from sc_stim.workflows import outbox

NIGHT = dt.timedelta(days=1)
SOME = range(1, 41)  # subjects judged one by one; pump and patient have one number


class Counted(psycopg.Cursor[Any]):
    """Counts what is sent to the database, below the ORM as well: `store.Bulk` talks to the driver."""

    statements = 0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        Counted.statements += 1
        return super().execute(*args, **kwargs)

    def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
        rows = list(params_seq)
        Counted.statements += len(rows)  # one each on the wire
        super().executemany(query, rows, **kwargs)

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        Counted.statements += 1
        return super().copy(*args, **kwargs)


def count_statements(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _count(connection: Any, _record: Any) -> None:
        connection.cursor_factory = Counted


def judge_everybody() -> dict[str, float]:
    """Owe all work of a closed day, and work it off."""
    statements, began, cpu_began = Counted.statements, time.perf_counter(), time.process_time()
    ask_nightly(db.session(), clock.now())
    db.session.commit()
    done = work_off(db.session(), JUDGES, until=clock.now() + NIGHT)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu_began,
        "judged": done,
        "statements": Counted.statements - statements,
        "left": db.session.scalar(select(func.count()).select_from(WorkItem)) or 0,
        "failed": db.session.scalar(select(func.count()).where(WorkItem.last_error.is_not(None))) or 0,
        "forecasts": db.session.scalar(select(func.count()).select_from(Forecast)) or 0,
        "alerts": db.session.scalar(select(func.count()).select_from(Alert)) or 0,
    }


def judge_one_by_one(kind: str, subjects: range) -> tuple[float, float]:
    """Milliseconds of processor time and statements for one subject of which there is news, its claim included."""
    statements, began = Counted.statements, time.process_time()
    for subject in subjects:
        outbox.ask(db.session(), kind, [subject], clock.now())
        db.session.commit()
        work_off(db.session(), JUDGES, until=clock.now() + NIGHT)
    count = len(subjects)
    return (time.process_time() - began) / count * 1000, (Counted.statements - statements) / count


def main() -> None:
    job = json.load(sys.stdin)
    collect_rarely()  # as a worker does
    with application(job["database_url"]):
        count_statements(db.engine)
        took = judge_everybody()
        took["sample_cpu_ms"], took["sample_statements"] = judge_one_by_one(outbox.REFILL, SOME)
        took["score_cpu_ms"], took["score_statements"] = judge_one_by_one(outbox.PAIN, SOME)
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak_kib = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    json.dump(took | {"peak_mib": peak_kib / 1024}, sys.stdout)


if __name__ == "__main__":
    main()
