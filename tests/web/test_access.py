"""Who may open which page, and that another clinic does not exist."""

import re
import uuid
from urllib.parse import urlsplit

import pytest

from sc_stim.access import PUBLIC, ROLES, allowed
from sc_stim.extensions import db
from sc_stim.guard import declared_action
from sc_stim.models import Alert, AlertEntry
from tests import builders

CARE = {"clinician", "nurse"}
ALERT = "/alerts/{alert}"
ALERT_ACTS = ("acknowledge", "resolve", "shelve", "unshelve", "assign", "comment")
# page or form -> the roles that may use it
WHO_MAY = {
    "/worklist": CARE,
    "/alerts": CARE,
    ALERT: CARE,
    "/alerts/burden": CARE,
    "/calendar": CARE,
    "/calendar-book": CARE,
    "/calendar-feeds": CARE,
    "/pumps/{pump}/book": CARE,
    "/appointments/{visit}": CARE,
    "/pumps/{pump}/visit": CARE,
    "/pumps/{pump}/fills": CARE,
    "/fills/{fill}": CARE,
    "/patients": CARE,
    "/patients/new": CARE,
    "/patients/{patient}": CARE,
    "/patients/{patient}/edit": CARE,
    "/patients/{patient}/pathway": CARE,
    "/patients/{patient}/emergency": CARE,
    "/devices": CARE | {"engineer"},
    "/devices/new": {"clinician", "engineer"},
    "/devices/{device}": CARE | {"engineer"},
    "/devices/{device}/edit": {"clinician", "engineer"},
    "/devices/{device}/replace": {"clinician", "engineer"},
    "/quarantine": {"engineer"},
    "/quarantine/{message}": {"engineer"},
    "/tasks": CARE,
    "/tasks/{task}": CARE,
    "/recalls": CARE | {"engineer"},
    "/recalls/new": CARE | {"engineer"},
    "/recalls/{recall}": CARE | {"engineer"},
    "/work": CARE | {"engineer", "auditor"},
    "/audit": {"auditor"},
    "/clinic": {"admin"},
    "/clinic/hours": CARE | {"admin"},
    "/clinic/resources/{room}": CARE | {"admin"},
    "/users": {"admin"},
    "/users/{account}": {"admin"},
    "/escalation": CARE | {"admin"},
    "/escalation/contacts/{contact}": CARE | {"admin"},
    "/reference": set(ROLES),
    "/clinic/figures": set(ROLES),
    "/clinic/figures/{key}": set(ROLES),
    "/clinic/review-intervals": set(ROLES),
    "/system": set(ROLES),
}
FORMS = (
    {"/patients/{patient}/emergency": CARE, "/patients/{patient}/emergency/revoke": CARE}
    | {f"{ALERT}/{act}": CARE for act in ALERT_ACTS}
    | {"/alerts": CARE}
    | {"/patients": CARE, "/patients/new": CARE}
    | {f"/patients/{{patient}}/{act}": CARE for act in ("edit", "reviews", "treatments", "assessments")}
    | {"/worklist": CARE, "/worklist/views": CARE}
    | {f"/worklist/views/{{view}}/{act}": CARE for act in ("first", "query", "delete")}
    | {
        "/recalls": CARE,
        "/recalls/{recall}/list": CARE,
        "/recalls/{recall}/close": CARE,
        "/outreach/{outreach}": CARE,
    }
    | {"/recalls/preview": CARE | {"engineer"}}
    | {"/devices": CARE | {"engineer"}, "/devices/{device}/commands": CARE | {"engineer"}}
    | {"/devices/new": {"clinician", "engineer"}, "/devices/register": {"clinician", "engineer"}}
    | {f"/devices/{{device}}/{act}": {"clinician", "engineer"} for act in ("edit", "replace")}
    | {f"/devices/{{device}}/{act}": {"engineer"} for act in ("credential", "credential/revoke")}
    | {"/devices/{device}/scans": CARE}
    | {f"/tasks/{{task}}/{act}": CARE for act in ("interrogation", "done")}
    | {"/quarantine/replay": {"engineer"}, "/quarantine/{message}/replay": {"engineer"}}
    | {"/pumps/{pump}/book": CARE, "/appointments/{visit}/change": CARE, "/appointments/{visit}/cancel": CARE}
    | {"/calendar-feeds": CARE, "/calendar-feeds/{feed}/revoke": CARE}
    | {
        "/pumps/{pump}/visit": CARE,
        "/pumps/{pump}/visit/check": CARE,
        "/fills/{fill}/confirm": CARE,
        "/fills/{fill}/call-off": CARE,
    }
)
FORMS |= (
    {
        "/audit/verification": {"auditor"},
        "/clinic": {"admin"},
        "/users": {"admin"},
        "/users/{account}": {"admin"},
    }
    | {f"/clinic/closures{act}": {"admin"} for act in ("", "/remove")}
    | {f"/users/{{account}}/{act}": {"admin"} for act in ("close", "open", "sign-out", "password")}
    | {"/clinic/hours": CARE | {"admin"}, "/clinic/resources": CARE | {"admin"}}
    | {
        f"/clinic/resources/{{room}}{act}": CARE | {"admin"}
        for act in ("", "/hours", "/absences", "/absences/remove")
    }
    | {"/escalation/ladder": {"admin"}, "/escalation/contacts": {"admin"}, "/escalation/shifts": {"admin"}}
    | {f"/escalation/contacts/{{contact}}{act}": {"admin"} for act in ("", "/test")}
    | {"/escalation/shifts/{shift}/remove": {"admin"}}
    | {f"/work{act}": CARE | {"engineer", "auditor"} for act in ("", "/{work}/cancel")}
    | {f"/clinic/figures/{{key}}{act}": {"admin"} for act in ("", "/shipped")}
    | {f"/clinic/review-intervals{act}": {"admin"} for act in ("", "/shipped")}
)

# files, and ways on to a page
ELSEWHERE = {"/calendar.csv": CARE, "/alerts.csv": CARE, "/alerts/burden.csv": CARE, "/alerts/triage": CARE}
ELSEWHERE |= {"/users.csv": {"admin"}, "/clinic/closures.csv": {"admin"}, "/audit.csv": {"auditor"}}
ELSEWHERE |= {
    f"/{name}.csv": CARE | {"admin"}
    for name in ("clinic/resources", "escalation/contacts", "system/messages")
}
ELSEWHERE |= {
    "/reference.csv": set(ROLES),
    "/sign-in/still": set(ROLES),
    "/system/outages.csv": set(ROLES),
    "/clinic/figures.csv": set(ROLES),
}
ELSEWHERE |= {"/devices.csv": CARE | {"engineer"}, "/tasks.csv": CARE, "/quarantine.csv": {"engineer"}}
ELSEWHERE |= {"/worklist.csv": CARE, "/patients.csv": CARE, "/recalls.csv": CARE | {"engineer"}}


CALLED = {role: role for role in ROLES} | {"admin": "administrator"}


def forbidden(app, role, page):
    """The links and forms of a page that would be refused to the role."""
    routes = app.url_map.bind("localhost")
    ways = [(link.get("href"), "GET") for link in page.all("a") if link.get("href")]
    shown = (
        form for form in page.all("form") if form.get("hidden") is None
    )  # a script gives a hidden one its address
    ways += [(form.get("action"), form.get("method").upper()) for form in shown]
    for address, method in ways:
        path = urlsplit(address).path
        if address.startswith("/") and path != "/":
            endpoint, _ = routes.match(path, method)
            action = declared_action(app, endpoint, method)
            if action != PUBLIC and not allowed(role, action):
                yield f"{method} {address}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_its_files_and_no_others(visit, role):
    clinic = builders.create_clinic()
    builders.create_alert(patient=builders.create_patient(clinic=clinic))
    visitor = visit(builders.create_user(clinic=clinic, role=role))

    for path, roles in ELSEWHERE.items():
        status = visitor.file(path).status_code
        assert status == (403 if role not in roles else 302 if path.endswith("triage") else 200), path


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_pages_and_no_others_and_no_link_leads_to_another(app, visit, role):
    clinic = builders.create_clinic()
    patient = builders.create_patient(clinic=clinic)
    ids = {"patient": patient.public_id, "alert": builders.create_alert(patient=patient).public_id}
    recall = builders.create_recall(clinic=clinic)
    row = builders.create_outreach(recall=recall, device=builders.create_pump(patient=patient))
    ids |= {"recall": recall.public_id, "outreach": row.public_id, "pump": row.device.public_id}
    ids |= {"device": row.device.public_id, "task": builders.create_care_task(device=row.device).public_id}
    ids["message"] = builders.create_quarantine(device=row.device).public_id
    ids["fill"] = builders.create_fill(pump=row.device).public_id
    ids["visit"] = builders.create_appointment(pump=row.device).public_id
    user = builders.create_user(clinic=clinic, role=role)
    ids["feed"] = builders.create_calendar_feed(by=user).public_id
    ids["view"] = uuid.uuid4()  # a view is one person's own
    ids["account"] = builders.create_user(clinic=clinic).public_id
    contact = builders.create_contact(clinic=clinic)
    ids |= {"contact": contact.public_id, "shift": builders.create_shift(contact=contact).public_id}
    ids["room"] = builders.create_resource(clinic=clinic).public_id
    ids |= {
        "key": "silence.intervals",
        "work": uuid.uuid4(),
    }  # which work a role may cancel is in test_long_work
    visitor = visit(user)

    for path, roles in WHO_MAY.items():
        page = visitor.page(path.format(**ids), 200 if role in roles else 403)
        assert (page.texts("h1") == ["Your role does not allow this"]) == (role not in roles)
        assert list(forbidden(app, role, page)) == [], path
        if role not in roles:
            assert f"It is for: {', '.join(CALLED[one] for one in ROLES if one in roles)}." in page.text
    for path, roles in FORMS.items():
        answer = visitor.post(path.format(**ids), comment="seen", hours="2")
        assert (answer.status_code == 403) == (role not in roles), path


def test_without_signing_in_only_the_sign_in_page_and_static_files_answer(app, visit):
    nobody = visit(None)
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("web.") or rule.endpoint == "web.static":
            continue
        for method in rule.methods & {"GET", "POST"}:
            public = declared_action(app, rule.endpoint, method) == PUBLIC
            assert public == (rule.rule in ("/sign-in", "/emergency/<token>"))
            if method == "GET" and not public:
                path = rule.rule.replace("<uuid:public_id>", str(uuid.uuid4()))
                assert nobody.get(path).location.startswith("/sign-in")


def test_every_page_is_in_the_table_of_this_test(app):
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("web.")}
    paths = [path.replace("{key}", "<key>") for path in WHO_MAY | FORMS | ELSEWHERE]
    tested = {re.sub(r"{\w+}", "<uuid:public_id>", path) for path in paths}

    assert rules - tested == {
        "/", "/fills/<uuid:public_id>/record.pdf", "/pumps/<uuid:public_id>/fills.csv",
        "/pumps/<uuid:public_id>/fills.pdf", "/patients/<uuid:public_id>/report.pdf",
        "/appointments/<uuid:public_id>/days.json", "/emergency/<token>", "/live",
        "/devices/<uuid:public_id>/readings.csv", "/devices/<uuid:public_id>/events.csv",
        "/devices/<uuid:public_id>/commands.csv", "/patients/<uuid:public_id>/pain-scores.csv",
        "/recalls/<uuid:public_id>/outreach.csv", "/work/<uuid:public_id>/result",
        "/patients/<uuid:public_id>/timeline.json",
        "/patients/<uuid:public_id>/usual.json", "/sign-in", "/sign-out", "/static/<name>",
    }  # fmt: skip


def test_a_role_sees_only_the_ways_it_may_go(visit):
    page = visit(builders.create_user(role="engineer")).page("/devices")

    assert [link.get("href") for link in page.all("nav")[0].iter("a")] == [
        "/devices",
        "/recalls",
        "/quarantine",
        "/work",
    ]


@pytest.mark.parametrize("path", ["/patients/{patient}", ALERT])
def test_another_clinics_row_answers_exactly_as_one_that_never_was(visit, path):
    patient = builders.create_patient()
    ids = {"patient": patient.public_id, "alert": builders.create_alert(patient=patient).public_id}
    visitor = visit(builders.create_user(role="nurse"))

    theirs = visitor.page(path.format(**ids), 404)
    nobodys = visitor.page(path.format(patient=uuid.uuid4(), alert=uuid.uuid4()), 404)

    assert theirs.text == nobodys.text
    assert patient.family_name not in theirs.html


def test_nobody_acts_on_another_clinics_alert(visit):
    alert = builders.create_alert(patient=builders.create_patient())
    visitor = visit(builders.create_user(role="nurse"))
    visitor.page("/worklist")

    for act in ALERT_ACTS:
        assert visitor.post(f"/alerts/{alert.public_id}/{act}", comment="mine", hours="2").status_code == 404
    assert db.session.get_one(Alert, alert.id).state == "unacknowledged"
    assert db.session.query(AlertEntry).count() == 0


def test_lists_hold_nothing_of_another_clinic(scene, visit):
    visitor = visit(builders.create_user(role="nurse"))
    names = ("Okafor", "Moreau", "Haddad", "Example", "Yıldız")

    for path in ("/worklist", "/alerts", "/patients", "/devices"):
        page = visitor.page(path)
        assert not [name for name in names if name in page.html]
        assert "SN0" not in page.html
    assert "Nobody is found" in visitor.submitted("/patients", name="Okafor").text


def test_an_auditor_and_an_admin_see_their_own_clinic_only(scene, visit):
    assert "nurse@riverside.example" not in visit(builders.create_user(role="admin")).page("/clinic").html
    assert "Nadia Berger" not in visit(builders.create_user(role="auditor")).page("/audit").html


def test_an_engineer_reads_no_patients_name(scene, visit):
    page = visit(scene.engineer).page("/devices")

    assert "SN0" in page.html
    assert not [
        name for name in ("Okafor", "Moreau", "Haddad", "Ada", "Yıldız", "5550100") if name in page.html
    ]
