"""The OpenAPI document, and the same as pages to read."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, current_app, render_template, request
from markupsafe import Markup, escape

from sc_stim.access import PUBLIC, requires

docs = Blueprint(
    "docs", __name__, template_folder="templates", static_folder="static", static_url_path="/api/docs/static"
)

METHODS: Final = ("get", "post", "put", "patch", "delete")
DEEPEST_EXAMPLE: Final = 8  # should a schema ever contain itself
EXAMPLES: Final = {
    "uuid": "01931f2e-7c1a-7c3e-9a57-3f0c5f6f2b11",
    "date-time": "2026-11-22T12:00:05+01:00",
    "date": "2026-11-22",
    "email": "kim@example.org",
}

Document = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the page shows it."""

    method: str
    path: str
    spec: Document
    body: Document | None  # schema
    body_example: Any
    answers: list[tuple[str, str, list[tuple[str, Document]]]]  # status, description, (content type, schema)

    def curl(self, host: str) -> str:
        """A request to copy into a shell, with ids and token as its variables."""
        lines = [f"curl -X {self.method.upper()} {host}{self.path.replace('{', '$').replace('}', '')}"]
        if self.spec.get("security") != []:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        for parameter in self.spec.get("parameters", []):
            if parameter["in"] == "header" and parameter.get("required"):
                lines.append(f"-H '{parameter['name']}: {parameter.get('example', '...')}'")
        if self.body is not None:
            lines.append("--json " + shlex.quote(json.dumps(self.body_example, indent=2, ensure_ascii=False)))
        return " \\\n  ".join(lines)


@docs.get("/api/v1/openapi.json")
@requires(PUBLIC)
def openapi_json() -> Response:
    return current_app.json.response(document())


@docs.get("/api/docs")
@requires(PUBLIC)
def show_docs() -> str:
    spec = document()
    groups = [(tag, list(_operations(spec, tag["name"]))) for tag in spec["tags"]]
    host = request.host_url.rstrip("/")
    return render_template("api_docs.html", spec=spec, groups=groups, host=host, kind=kind, prose=prose)


def document() -> Document:
    """The document of this app; made once, as the endpoints do not change while it runs."""
    found: Document | None = current_app.extensions.get("sc_stim openapi")
    if found is None:
        api = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
        found = current_app.extensions["sc_stim openapi"] = api.spec.to_dict()
    return found


def prose(text: str | None) -> Markup:
    """A description, its `words in backticks` set as code."""
    parts = [escape(part) for part in (text or "").split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts)
    )


def kind(schema: Document) -> str:
    """A type in words: `integer 1..200`, `list of Device`, `text (date-time) or null`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(kind(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(str(word) for word in schema["enum"])
    names = schema.get("type", "anything")
    words = " or ".join(names) if isinstance(names, list) else names
    words = words.replace("string", "text")
    if schema.get("items"):
        words = words.replace("array", "list of " + kind(schema["items"]))
    if "format" in schema:
        words += f" ({schema['format']})"
    low, high = (schema.get(f"{end}imum", schema.get(f"{end}Length")) for end in ("min", "max"))
    return (
        f"{words} {'' if low is None else low}..{'' if high is None else high}"
        if (low, high) != (None, None)
        else words
    )


def example(schema: Document, components: Document, depth: int = 0) -> Any:
    """A value that fits the schema, from the examples in it."""
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    if "$ref" in schema:
        schema = components["schemas"][schema["$ref"].rpartition("/")[2]]
    for found in ("example", "default"):
        if found in schema:
            return schema[found]
    if "enum" in schema:
        return schema["enum"][0]
    names = schema.get("type", "object")
    name = names[0] if isinstance(names, list) else names
    if name == "object":
        inner = _shown(schema) if depth < DEEPEST_EXAMPLE else {}
        return {key: example(value, components, depth + 1) for key, value in inner.items()}
    if name == "array":
        return [example(schema["items"], components, depth + 1)] if depth < DEEPEST_EXAMPLE else []
    plain = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0), "boolean": True}
    return plain.get(name, EXAMPLES.get(schema.get("format", ""), "text"))


def _shown(schema: Document) -> Document:
    """The fields an example has: what is required and what has an example of its own, or else the first."""
    properties: Document = schema.get("properties", {})
    required = schema.get("required", [])
    shown = {name: value for name, value in properties.items() if name in required or "example" in value}
    return shown or dict(list(properties.items())[:1])


def _operations(spec: Document, tag: str) -> Iterator[Operation]:
    components = spec["components"]
    for path, item in spec["paths"].items():
        for method in METHODS:
            if method not in item or tag not in item[method]["tags"]:
                continue
            found = {
                **item[method],
                "parameters": item.get("parameters", []) + item[method].get("parameters", []),
            }
            content = found.get("requestBody", {}).get("content", {})
            body = next((media["schema"] for media in content.values()), None)
            sample = example(body, components) if body is not None else None
            yield Operation(method, path, found, body, sample, list(_answers(found["responses"], components)))


def _answers(
    responses: Document, components: Document
) -> Iterator[tuple[str, str, list[tuple[str, Document]]]]:
    for status, response in sorted(responses.items()):
        if "$ref" in response:
            response = components["responses"][response["$ref"].rpartition("/")[2]]
        content = response.get("content", {})
        yield status, response["description"], [(name, media["schema"]) for name, media in content.items()]
