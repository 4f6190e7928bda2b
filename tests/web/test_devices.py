import datetime as dt

import pytest

from sc_stim.extensions import db
from sc_stim.models import DeviceEpoch
from tests import builders
from tests.builders import AT

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def engineer(app):
    return builders.create_user(role="engineer")


def add_epoch(device, name, taken):
    db.session.add(DeviceEpoch(device_id=device.id, epoch=name, taken=taken, first_at=AT, last_at=AT))
    db.session.commit()


def test_a_device_with_its_contact_clock_and_gaps(engineer, visit):
    pump = builders.create_pump(
        clinic=engineer.clinic,
        manufacturer="Acme",
        model="Drop 2",
        serial="SN7",
        report_interval_s=900,
        created_at=AT - 9 * HOUR,
    )
    builders.create_device_state(
        device=pump,
        heard_at=AT - HOUR,
        measured_at=AT - HOUR,
        online=False,
        clock_error_s=-2820.0,
        unknown_fields=3,
    )
    add_epoch(pump, "old", "3-9")
    add_epoch(pump, "new", "0-41,44,50-60")

    row = visit(engineer).page("/devices").texts("tr")[1]

    assert row == (
        "Acme Drop 2 pump, serial SN7 Implanted not connected Mon 23 Nov 2026 08:00 60 min ago; agreed every 15 min "
        "silent 47 min behind 10 3"
    )


def test_a_device_that_never_spoke_is_not_called_fine(engineer, visit):
    builders.create_stimulator(clinic=engineer.clinic, implanted_on=None)

    row = visit(engineer).page("/devices").texts("tr")[1]

    assert "Registered never heard not known not known 0" in row
    assert "silent" not in row


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under 1 s"),
        (-0.4, "under 1 s"),
        (119, "119 s ahead"),
        (-120, "2 min behind"),
        (7200, "2 h ahead"),
        (3e5, "3 d ahead"),
    ],
)
def test_a_clock_error_says_which_way(engineer, visit, seconds, words):
    device = builders.create_pump(clinic=engineer.clinic)
    builders.create_device_state(device=device, clock_error_s=seconds)

    assert words in visit(engineer).page("/devices").texts("tr")[1]


def test_only_the_silent_ones(engineer, visit):
    for serial, hours, dates in (
        ("FINE", 1, {}),
        ("SILENT", 9, {}),
        ("OUT", 9, {"explanted_on": AT.date()}),
        ("SHELF", 9, {}),
    ):
        device = builders.create_pump(
            clinic=engineer.clinic, serial=serial, created_at=AT - 99 * HOUR, **dates
        )
        at = AT - hours * HOUR
        builders.create_device_state(device=device, heard_at=at, measured_at=at)
    builders.put_on_shelf(device)
    page = visit(engineer).page("/devices?show=silent")

    assert [row for row in page.texts("tr")[1:] if "SILENT" in row] == page.texts("tr")[1:]
    visit(engineer).page("/devices?show=nonsense", 404)


def test_a_device_that_is_nobodys_is_found_and_given_away(visit):
    clinician = builders.create_user(role="clinician")
    builders.create_pump(clinic=clinician.clinic, serial="SOMEBODYS")
    shelf = builders.put_on_shelf(builders.create_pump(clinic=clinician.clinic, serial="SHELF"))
    page = visit(clinician).page("/devices?show=unassigned")

    [row] = page.texts("tr")[1:]
    assert "SHELF" in row and "nobody's · Say whose it is" in row
    assert f"/devices/{shelf.public_id}/edit" in {link.get("href") for link in page.all("a")}


def test_the_list_goes_on_where_the_page_before_ended(engineer, visit, monkeypatch, statements):
    monkeypatch.setattr("sc_stim.web.devices.PAGE_SIZE", 2)
    for number in range(5):
        builders.create_pump(clinic=engineer.clinic, serial=f"NUMBER-{number}")
    visitor, path, serials = visit(engineer), "/devices", []

    while path:
        page = visitor.page(path)
        serials += [row.partition("NUMBER-")[2][0] for row in page.texts("tr")[1:]]
        path = next((link.get("href") for link in page.all("a") if link.get("rel") == "next"), None)

    assert serials == ["0", "1", "2", "3", "4"]
    with statements() as asked:
        visitor.page("/devices")
    assert len(asked) <= 12


def test_empty_lists_say_what_to_do(engineer, visit):
    visitor = visit(engineer)

    assert "Register one by the UDI on its label." in visitor.page("/devices").text
    assert "Every implanted device has reported in time." in visitor.page("/devices?show=silent").text
