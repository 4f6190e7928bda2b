"""A clinic of which nothing is on record yet: every page stands, and an empty list says so."""

import pytest

from sc_stim.access import ROLES
from tests import builders
from tests.web.test_access import WHO_MAY

LISTS = [path for path in WHO_MAY if "{" not in path]
# Pages that are not empty for a new clinic: a form, or what the software itself brings.
NEVER_EMPTY = {"/patients/new", "/devices/new", "/recalls/new", "/clinic/figures", "/users"}


@pytest.mark.parametrize("role", ROLES)
def test_a_new_clinics_pages_stand_and_say_what_is_not_there(visit, role):
    visitor = visit(builders.create_user(role=role))
    for path in LISTS:
        if role in WHO_MAY[path]:
            page = visitor.page(path)
            said = [
                element for element in page.root.iter() if "empty" in (element.get("class") or "").split()
            ]
            assert bool(said) != (path in NEVER_EMPTY), path
