"""The table of roles and actions, pinned: whoever changes what a role may do changes it here as well."""

import pytest

from sc_stim.access import ACTIONS, ROLES, SIGNED_IN, allowed

MAY = {
    "clinician": """
        alerts.handle alerts.read appointments.book appointments.read calendar.manage clinic.read commands.read
        commands.send devices.read devices.write diary.read diary.write escalation.read fills.read fills.record
        long_work.read messages.read patients.read patients.write recalls.handle recalls.read refills.read
        resources.manage resources.read reviews.read reviews.record settings.prescribe settings.read tasks.handle
        tasks.read telemetry.read
    """,
    "nurse": """
        alerts.handle alerts.read appointments.book appointments.read calendar.manage clinic.read commands.read
        commands.send devices.read diary.read diary.write escalation.read fills.read fills.record
        long_work.read messages.read patients.read patients.write recalls.handle recalls.read refills.read
        resources.manage resources.read reviews.read reviews.record settings.read tasks.handle tasks.read
        telemetry.read
    """,
    "engineer": """
        clinic.read commands.read commands.send credentials.manage devices.read devices.write long_work.read
        quarantine.read quarantine.replay recalls.read settings.read telemetry.read
    """,
    "auditor": "audit.read clinic.read long_work.read",
    "admin": """
        clinic.manage clinic.read escalation.manage escalation.read messages.read resources.manage resources.read
        users.manage
    """,
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_this_and_nothing_else(role: str) -> None:
    assert [action for action in sorted(ACTIONS) if allowed(role, action)] == MAY[role].split()


def test_every_role_may_what_only_needs_signing_in_and_an_unknown_role_nothing() -> None:
    assert all(allowed(role, SIGNED_IN) for role in ROLES)
    assert not allowed("surgeon", SIGNED_IN)
    assert not any(allowed("surgeon", action) for action in ACTIONS)


def test_an_unknown_action_is_a_mistake_of_ours_not_a_refusal() -> None:
    with pytest.raises(KeyError):
        allowed("admin", "patients.rob")
