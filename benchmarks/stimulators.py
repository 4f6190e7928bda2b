"""Stimulators that report once a day through the window of the rules about silent therapy, as rows; and their night.

Reads a job, prints what it took; see `sweep`.
"""

import datetime as dt
import json
import sys
import time
import uuid

import psycopg
from sqlalchemy import func, select

from benchmarks.judging import NIGHT, Counted, count_statements
from benchmarks.population import register
from benchmarks.stand import application
from sc_stim import clock
from sc_stim.clinical.therapy_health import shipped_rules
from sc_stim.extensions import db
from sc_stim.models import Device, WorkItem
from sc_stim.tasks.celery_app import collect_rarely
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.work import work_off
from sc_stim.workflows import outbox

# Values that differ from day to day and from device to device, and raise nothing.
_SAMPLES = """
    INSERT INTO stimulator_sample (
        device_id, epoch, seq, clinic_id, measured_at, device_at, received_at, state, on_s, program, amplitude_ma,
        pulse_width_us, rate_hz, battery_pct, charged_s, impedance_ohm, ecap_in_window_pct, posture)
    SELECT d.id, 'e1', day, 1, at, at, at, 'on', 70000 + step * 500, 'A', 4.2, 300, 50, 60 + step, 3600,
        (SELECT jsonb_agg(500 + step + contact) FROM generate_series(1, 16) contact), 80 + step, 'supine'
    FROM device d, generate_series(0, %(days)s) day,
        LATERAL (SELECT %(at)s - day * interval '1 day' AS at, (d.id * 7 + day * 5) %% 11 AS step) drawn
"""


def populate_stimulators(database_url: str, number: int, at: dt.datetime) -> None:
    """In one clinic; in the empty tables of the app in whose context we are. PostgreSQL only."""
    register(db.session(), [str(uuid.uuid4()) for _ in range(number)], at)
    window_d = int(shipped_rules().value("window_d"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE device SET kind = 'stimulator', model = 'Intellis', reservoir_ml = NULL")
        connection.execute(_SAMPLES, {"days": window_d, "at": at})
        connection.execute("VACUUM ANALYZE")


def judge_all() -> dict[str, float]:
    """Owe all stimulators a judgement of their therapy, and work it off."""
    ids = select(Device.id).where(Device.kind == "stimulator")
    outbox.ask_all(db.session(), outbox.THERAPY, ids, clock.now())
    db.session.commit()
    statements, began = Counted.statements, time.process_time()
    judged = work_off(db.session(), JUDGES, until=clock.now() + NIGHT)
    return {
        "judged": judged,
        "cpu_ms": (time.process_time() - began) / max(judged, 1) * 1000,
        "statements": Counted.statements - statements,
        "left": db.session.scalar(select(func.count()).select_from(WorkItem)) or 0,
    }


def main() -> None:
    job = json.load(sys.stdin)
    collect_rarely()  # as a worker does
    with application(job["database_url"]):
        count_statements(db.engine)
        json.dump(judge_all(), sys.stdout)


if __name__ == "__main__":
    main()
