"""The audit trail: read, taken away, verified; whatever is done to it in the database is found."""

import csv
import datetime as dt
import io
import threading

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, delete, insert, select, update
from sqlalchemy.orm import Session

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, AuditHead, Clinic
from sc_stim.workflows.audit import INSTALLATION, Actor, _mac, _seal, record, seal_key, verify, verify_clinic
from tests.apps import As, Time, both_databases, read
from tests.builders import AT, SECRET_KEY, create_clinic, create_user
from tests.servers import Postgres

KEY = seal_key(SECRET_KEY)
OTHER_KEY = seal_key("another secret of thirty-two characters or more")
ENTRIES = 8


def fill(session: Session, clinic_id: int, number: int, key: bytes = KEY) -> None:
    actor = Actor(clinic_id, "somebody", key)
    for index in range(number):
        detail = {"index": index, "share": index / 3, "words": ["ä", None, True]}
        record(
            session,
            actor,
            "patient.view",
            "patient",
            f"p{index}",
            detail,
            at=AT + dt.timedelta(seconds=index),
        )
    session.commit()


def test_an_auditor_reads_newest_first_with_the_names_of_people(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    admin, auditor = create_user(role="admin", clinic=clinic), create_user(role="auditor", clinic=clinic)
    api(admin).get("/users")
    time.pass_by(minutes=5)
    items = api(auditor).get("/audit").json["items"]
    assert [(item["number"], item["action"], item["actor_name"]) for item in items] == [
        (2, "audit.view", auditor.name),
        (1, "user.list", admin.name),
    ]
    assert items[1]["at"] == "2026-11-23T08:00:00Z"


def test_a_trail_is_selected_by_time_person_act_and_subject(app: Flask, api: As) -> None:
    auditor = create_user(role="auditor")
    fill(db.session(), auditor.clinic_id, 5)
    caller = api(auditor)

    def numbers(**query: str) -> list[int]:
        return [item["number"] for item in caller.get("/audit", **query).json["items"]]

    assert numbers(**{"from": "2026-11-23T08:00:01Z", "to": "2026-11-23T09:00:03+01:00"}) == [3, 2]
    assert numbers(subject="p4") == [5]
    assert numbers(actor=str(auditor.public_id), action="audit.view") == [8, 7, 6]


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-23",
        "2026-11-23T08:00:00",
        "2026-11-23T08:00Z",
        "20261123T080000Z",
        "0001-01-01T00:00:00+23:59",
        "now",
    ],
)
def test_a_time_without_an_offset_or_in_another_form_is_refused(app: Flask, api: As, time: str) -> None:
    answer = api(create_user(role="auditor")).get("/audit", **{"from": time})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "from")


def test_a_month_is_taken_away_as_one_table_that_runs_no_formula(app: Flask, api: As) -> None:
    clinic = create_clinic()
    auditor = create_user(role="auditor", clinic=clinic, name="=HYPERLINK(1)")
    fill(db.session(), clinic.id, 250)
    caller = api(auditor)
    caller.get("/audit", subject="p1")
    answer = caller.get("/audit", headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["number"]) for row in rows] == list(range(1, 252))
    assert rows[-1]["actor_name"] == "'=HYPERLINK(1)"
    assert read(select(AuditEntry.action).order_by(AuditEntry.number.desc()).limit(1)) == ["audit.export"]


def test_an_auditor_verifies_their_own_clinic_and_hears_where_it_breaks(app: Flask, api: As) -> None:
    auditor, other = create_user(role="auditor"), create_user(role="auditor")
    for user in (auditor, other):
        fill(db.session(), user.clinic_id, 3)
    assert api(auditor).get("/audit/verification").json["intact"] is True
    tamper = update(AuditEntry).where(AuditEntry.clinic_id == auditor.clinic_id, AuditEntry.number == 2)
    db.session.execute(tamper.values(actor="nobody"))
    answer = api(auditor).get("/audit/verification").json
    assert (answer["intact"], answer["broken_at"], answer["reason"]) == (False, 2, "was altered")
    assert api(other).get("/audit/verification").json["intact"] is True


@both_databases
def test_a_chain_that_grows_while_it_is_checked_is_not_called_broken(app: Flask) -> None:
    clinic_id = create_clinic().id
    fill(db.session(), clinic_id, 1)
    done = threading.Event()

    def write() -> None:
        with app.app_context():
            for _ in range(10):
                fill(db.session(), clinic_id, 3)
        done.set()

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    breaks = []
    while not done.is_set():
        breaks.append(verify_clinic(db.session(), KEY, clinic_id))
        db.session.commit()
    for writer in writers:
        writer.join()
    assert set(breaks) == {None}
    assert verify_clinic(db.session(), KEY, clinic_id) is None
    assert len(read(select(AuditEntry.id))) == 91


@both_databases
def test_two_first_entries_at_once_make_one_chain(app: Flask) -> None:
    gate = threading.Barrier(4)

    def write() -> None:
        with app.app_context():
            gate.wait()
            fill(db.session(), INSTALLATION, 2)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read(select(AuditEntry.number))) == list(range(1, 9))
    assert verify_clinic(db.session(), KEY, INSTALLATION) is None


def test_a_clinic_whose_whole_chain_is_gone_is_found(app: Flask) -> None:
    clinic_id = create_clinic().id
    fill(db.session(), clinic_id, 2)
    assert list(verify(db.session(), KEY)) == []
    db.session.execute(delete(AuditEntry))
    db.session.execute(delete(AuditHead))
    assert [broken.clinic_id for broken in verify(db.session(), KEY)] == [clinic_id]


# What somebody who owns the database, but not the key, may do to a clinic's chain of ENTRIES entries.

numbers = st.integers(1, ENTRIES)
COLUMN = {
    "at": AT - dt.timedelta(days=1),
    "actor": "somebody else",
    "action": "patient.change",
    "subject_kind": "device",
    "subject": None,
    "detail": {"index": 0},
    "encoding": 2,
    "previous_mac": b"p" * 32,
    "mac": b"m" * 32,
}


def edit(session: Session, number: int, column: str) -> None:
    session.execute(_entry(number).values({column: COLUMN[column]}))


def remove(session: Session, number: int) -> None:
    session.execute(delete(AuditEntry).where(AuditEntry.number == number))


def remove_and_close_the_gap(session: Session, number: int) -> None:
    remove(session, number)
    for later in range(number + 1, ENTRIES + 1):
        session.execute(_entry(later).values(number=later - 1))


def swap(session: Session, first: int, second: int) -> None:
    session.execute(_entry(first).values(number=-1))
    session.execute(_entry(second).values(number=first))
    session.execute(_entry(-1).values(number=second))


def truncate(session: Session, number: int) -> None:
    session.execute(delete(AuditEntry).where(AuditEntry.number >= number))


def truncate_and_mend_the_head(session: Session, number: int, key: bytes) -> None:
    truncate(session, number)
    last = session.scalars(select(AuditEntry).where(AuditEntry.number == number - 1)).one_or_none()
    head = session.scalars(select(AuditHead)).one()
    head.number, head.mac = number - 1, last.mac if last else bytes(32)
    head.seal = _seal(key, head)


def insert_a_copy(session: Session, number: int) -> None:
    for later in range(ENTRIES, number - 1, -1):
        session.execute(_entry(later).values(number=later + 1))
    columns = [column for column in AuditEntry.__table__.columns if column.name != "id"]
    original = session.execute(select(*columns).where(AuditEntry.number == number + 1)).one()
    session.execute(insert(AuditEntry).values(original._asdict() | {"number": number}))


def recompute_from(session: Session, number: int) -> None:
    """Change an entry and seal it and all that follow anew, with a key of one's own."""
    previous = None
    for entry in session.scalars(
        select(AuditEntry).where(AuditEntry.number >= number).order_by(AuditEntry.number)
    ):
        entry.detail = entry.detail if previous else {"index": "forged"}
        entry.previous_mac = previous.mac if previous else entry.previous_mac
        entry.mac = _mac(OTHER_KEY, entry)
        previous = entry
    head = session.scalars(select(AuditHead)).one()
    head.mac = previous.mac
    head.seal = _seal(OTHER_KEY, head)


def graft(session: Session, number: int, mend: bool) -> None:
    """Put in an entry that was genuine once, in a history that a restored backup has replaced."""
    entry, following = (
        session.scalars(select(AuditEntry).where(AuditEntry.number == wanted)).one_or_none()
        for wanted in (number, number + 1)
    )
    entry.detail = {"index": "from the other history"}
    entry.mac = _mac(KEY, entry)
    if following and mend:
        following.previous_mac = entry.mac


def lose_the_head(session: Session) -> None:
    session.execute(delete(AuditHead))


def _entry(number: int) -> object:
    return update(AuditEntry).where(AuditEntry.number == number)


tampering = st.one_of(
    st.tuples(st.just(edit), numbers, st.sampled_from(sorted(COLUMN))),
    st.tuples(st.just(remove), numbers),
    st.tuples(st.just(remove_and_close_the_gap), numbers),
    st.tuples(st.just(swap), numbers, numbers).filter(lambda drawn: drawn[1] != drawn[2]),
    st.tuples(st.just(truncate), numbers),
    st.tuples(st.just(truncate_and_mend_the_head), numbers, st.sampled_from([OTHER_KEY, bytes(32)])),
    st.tuples(st.just(insert_a_copy), numbers),
    st.tuples(st.just(recompute_from), numbers),
    st.tuples(st.just(graft), numbers, st.booleans()),
    st.tuples(st.just(lose_the_head)),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def chain(request: pytest.FixtureRequest) -> Session:
    """A database that holds one clinic's chain; whatever a test does to it is rolled back."""
    postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    url = postgres.create_database() if postgres else "sqlite://"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    db.metadata.create_all(engine)
    with Session(engine) as session:
        clinic = Clinic(name="C", time_zone="Europe/Berlin", country="DE", created_at=AT)
        session.add(clinic)
        session.flush()
        fill(session, clinic.id, ENTRIES)
        yield session
    engine.dispose()
    if postgres:
        postgres.drop_database(url)


def test_a_chain_that_nobody_touched_holds(chain: Session) -> None:
    assert list(verify(chain, KEY)) == []


def test_whatever_is_done_to_the_chain_without_the_key_is_found(chain: Session) -> None:
    @settings(max_examples=150, deadline=None)
    @given(tampering)
    def check(drawn: tuple[object, ...]) -> None:
        act, *arguments = drawn
        act(chain, *arguments)
        chain.flush()
        chain.expire_all()
        broken = list(verify(chain, KEY))
        chain.rollback()
        assert len(broken) == 1

    check()


def test_the_first_entry_that_does_not_hold_is_the_one_named(chain: Session) -> None:
    edit(chain, 5, "actor")
    edit(chain, 7, "actor")
    [broken] = verify(chain, KEY)
    assert (broken.number, broken.reason) == (5, "was altered")
    remove(chain, 3)
    [broken] = verify(chain, KEY)
    assert (broken.number, broken.reason) == (3, "is missing")
