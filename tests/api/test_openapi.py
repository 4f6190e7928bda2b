"""The OpenAPI document is valid and complete, and the pages to read say the same without any outside address."""

import html
import json
import re
import shlex

import html5lib
import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from sc_stim.api.openapi import METHODS, Operation, example, prose
from tests.apps import As, openapi


def operations(app: Flask) -> list[tuple[str, str, dict[str, object]]]:
    paths = openapi(app)["paths"]
    return [
        (method, path, item[method]) for path, item in paths.items() for method in METHODS if method in item
    ]


def test_the_document_is_valid_openapi_3_1(app: Flask, api: As) -> None:
    document = api(None).call("GET", "/api/v1/openapi.json", check=False).json
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_route_of_the_api_is_in_the_document(app: Flask) -> None:
    documented = {(method.upper(), path) for method, path, _ in operations(app)}
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api/v1/", "/calendar/<", "/health", "/metrics"))
        and rule.endpoint != "docs.openapi_json"
    }
    assert documented == routes


def test_every_operation_says_what_it_does_and_has_a_name_of_its_own(app: Flask) -> None:
    names = [operation["operationId"] for _, _, operation in operations(app)]
    assert len(set(names)) == len(names)
    assert [path for _, path, operation in operations(app) if not operation.get("summary")] == []


def test_every_error_is_a_problem_document(app: Flask) -> None:
    for name, response in openapi(app)["components"]["responses"].items():
        assert list(response["content"]) == ["application/problem+json"], name


def test_changes_need_a_version_and_creations_take_a_key(app: Flask) -> None:
    for method, path, operation in operations(app):
        headers = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
        public = operation.get("security") == []
        versioned = method in ("patch", "put") or operation["operationId"] == "unset_figure"
        assert ("If-Match" in headers) == versioned, path
        assert ("Idempotency-Key" in headers) == (method == "post" and not public), path


def test_the_examples_fit_their_schemas(app: Flask) -> None:
    document = openapi(app)
    for name, schema in document["components"]["schemas"].items():
        value = example(schema, document["components"])
        Draft202012Validator({**schema, "components": document["components"]}).validate(value), name


def test_the_page_shows_every_operation_with_its_roles_and_a_request_to_copy(app: Flask, api: As) -> None:
    page = html.unescape(api(None).call("GET", "/api/docs", check=False).text)
    for method, path, operation in operations(app):
        assert f'id="{operation["operationId"]}"' in page
        address = "http://localhost" + re.sub(r"{(\w+)}", r"$\1", path)
        assert f"curl -X {method.upper()} {address}" in page
        assert f"For: {', '.join(operation.get('x-roles', [])) or 'anybody, without signing in'}" in page
    for name in openapi(app)["components"]["schemas"]:
        assert f'id="schema-{name}"' in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Send `a<b` or `c`.", "Send <code>a&lt;b</code> or <code>c</code>."),
        ("no & code", "no &amp; code"),
        (None, ""),
    ],
)
def test_backticks_become_code_and_everything_is_escaped(text: str | None, shown: str) -> None:
    assert prose(text) == shown


def test_a_request_to_copy_survives_a_quote_in_its_body() -> None:
    body = {"reason": "New Year's Eve"}
    operation = Operation("post", "/api/v1/things/{thing_id}", {"parameters": []}, {}, body, [])
    words = shlex.split(operation.curl("http://localhost"))
    assert words[:4] == ["curl", "-X", "POST", "http://localhost/api/v1/things/$thing_id"]
    assert json.loads(words[-1]) == body


def test_the_page_is_valid_html_without_script_style_attribute_or_outside_address(
    app: Flask, api: As
) -> None:
    text = api(None).call("GET", "/api/docs", check=False).text
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree = parser.parse(text)
    elements = list(tree.iter())
    assert not [
        element for element in elements if element.tag in ("script", "style") or "style" in element.attrib
    ]
    addresses = [element.attrib.get("href") or element.attrib.get("src") for element in elements]
    assert all(address.startswith(("/", "#")) for address in addresses if address)
    ids = [element.attrib["id"] for element in elements if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert {address[1:] for address in addresses if address and address.startswith("#")} <= set(ids)


@pytest.mark.parametrize("path", ["/api/docs/static/docs.css", "/api/docs"])
def test_the_page_and_its_sheet_are_served_by_us(app: Flask, api: As, path: str) -> None:
    assert api(None).call("GET", path, check=False).status_code == 200
