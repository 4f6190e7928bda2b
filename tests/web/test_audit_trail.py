from sc_stim.extensions import db
from sc_stim.workflows import audit
from sc_stim.workflows.audit import Actor
from tests import builders
from tests.builders import AT


def test_the_newest_entries_come_first_with_the_names_of_people(visit):
    auditor = builders.create_user(role="auditor", name="Olga Auditor")
    nurse = builders.create_user(clinic=auditor.clinic, role="nurse", name="Nadia Berger")
    key = b"any"
    by_nurse = Actor(auditor.clinic_id, str(nurse.public_id), key)
    audit.record(db.session, Actor(auditor.clinic_id, "installation", key), "clinic.create", at=AT)
    audit.record(db.session, by_nurse, "patient.view", "patient", nurse.public_id, at=AT)

    rows = visit(auditor).page("/audit").texts("tr")[1:]

    assert rows == [
        f"2 Mon 23 Nov 2026 09:00 Nadia Berger patient.view patient {nurse.public_id}",
        "1 Mon 23 Nov 2026 09:00 installation clinic.create",
    ]


def test_older_entries_follow_on_further_pages(visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.audit_trail.PAGE_SIZE", 2)
    auditor = builders.create_user(role="auditor")
    for _ in range(5):
        audit.record(db.session, Actor(auditor.clinic_id, "beat", b"any"), "audit.check", at=AT)
    visitor, path, numbers = visit(auditor), "/audit", []

    while path:
        page = visitor.page(path)
        numbers += [int(row.split()[0]) for row in page.texts("tr")[1:]]
        path = next((link.get("href") for link in page.all("a") if link.get("rel") == "next"), None)

    assert numbers == [5, 4, 3, 2, 1]


def test_an_empty_trail_says_so(visit):
    assert "There is no older entry." in visit(builders.create_user(role="auditor")).page("/audit").text


def test_an_administrator_reads_the_clinic_and_its_users(visit):
    clinic = builders.create_clinic(name="Riverside", pharmacy_lead_days=2)
    builders.create_user(clinic=clinic, role="nurse", name="Nadia Berger", active=False)
    admin = builders.create_user(clinic=clinic, role="admin", name="Anton Admin")

    page = visit(admin).page("/clinic")

    assert "2 days before a refill" in page.texts("dd")
    assert [(row.split()[0], row.split()[-1]) for row in page.texts("tr")[1:]] == [
        ("Anton", "yes"),
        ("Nadia", "no"),
    ]
