"""Every operation is called with data made from the OpenAPI document, right and wrong.

Whatever is sent, there is no 500, and no status, content type, header or body that the document does not have; wrong
data is refused.
"""

import contextlib
import contextvars
import re
import uuid
from collections.abc import Iterator

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from sc_stim.access import ROLES
from sc_stim.extensions import db
from tests.api.test_authorisation import clinic_with_everything
from tests.apps import openapi
from tests.builders import create_token, create_user

EXAMPLES = 4  # per operation and mode; raise it to search longer
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
quickly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],  # a failure names its request; making it smaller would cost minutes
    suppress_health_check=list(HealthCheck),
)


def operations(app: Flask) -> Iterator[APIOperation]:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    for result in schema.get_all_operations():
        yield result.ok()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
def test_no_operation_answers_what_it_does_not_document(
    app: Flask, mode: schemathesis.GenerationMode
) -> None:
    clinic, own = clinic_with_everything()
    people = {role: create_user(clinic=clinic, role=role) for role in ROLES}
    for operation in contextvars.Context().run(lambda: list(operations(app))):
        roles = openapi(app)["paths"][operation.path][operation.method].get("x-roles", ROLES[:1])
        headers = {"Authorization": f"Bearer {create_token(user=people[roles[0]])}"}
        with contextlib.suppress(Unsatisfiable):  # nothing about this operation can be sent wrong
            check_operation(operation, mode, own, headers)


def check_operation(
    operation: APIOperation,
    mode: schemathesis.GenerationMode,
    own: dict[str, uuid.UUID],
    headers: dict[str, str],
) -> None:
    ids = {name: str(own[kind]) for kind, name in re.findall(r"/([a-z-]+)/{(\w+_id)}", operation.path)}

    @quickly
    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    def check(case: schemathesis.Case, exists: bool) -> None:
        if exists and mode is schemathesis.GenerationMode.POSITIVE:
            case.path_parameters.update(ids)
        if exists and "If-Match" in (case.headers or {}):
            case.headers["If-Match"] = "*"
        db.session.commit()
        response = contextvars.Context().run(case.call, headers=headers)
        assert response.status_code != 500, case.as_curl_command()
        too_large = response.status_code == 413  # is a refusal, which the check for refusals does not know
        case.validate_response(
            response, checks=CHECKS, excluded_checks=[checks.negative_data_rejection] if too_large else []
        )

    check()
