"""docs/protocol against the code: the schemas, the AsyncAPI document and the prose."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from docs.protocol import generate
from sc_stim.devices import topics
from sc_stim.devices.messages import Reason

PROTOCOL = Path(generate.__file__).parent
PAYLOADS = Path(__file__).parents[1] / "payloads"
ASYNCAPI = yaml.safe_load((PROTOCOL / "asyncapi.yaml").read_text())
README = (PROTOCOL / "README.md").read_text()

INVALID = sorted((PAYLOADS / "invalid").iterdir())

# What a schema cannot say: faults of the bytes, the limits of the free `detail`, and two rules of ours.
BEYOND_SCHEMAS = {
    path.name
    for path in INVALID
    for *_, reason, field, _, _ in [path.name.split(".")]
    if field == "detail" or reason in {"oversize", "bad_utf8", "bad_json", "too_deep", "not_finite", "empty"}
} | {"command.missing_field.interval_s.none.json", "telemetry.pump.bad_time.at.before-year-one.json"}


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((PROTOCOL / "schemas" / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def schema_for(path: Path) -> Draft202012Validator:
    topic, device, *_ = path.name.split(".")
    return validator(topic if topic in generate.TYPES else f"{device}-data")


def resolve(reference: str) -> Any:
    node: Any = ASYNCAPI
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [reference for item in node for reference in references(item)]
    if not isinstance(node, dict):
        return []
    return [node["$ref"]] if "$ref" in node else references(list(node.values()))


def test_the_schemas_are_those_of_the_types() -> None:
    files = {path.name: path.read_text() for path in (PROTOCOL / "schemas").iterdir()}
    assert files == generate.texts(), "run: python docs/protocol/generate.py"


@pytest.mark.parametrize("path", sorted((PAYLOADS / "valid").iterdir()), ids=lambda path: path.stem)
def test_every_valid_example_fits_its_schema(path: Path) -> None:
    schema_for(path).validate(json.loads(path.read_bytes()))


@pytest.mark.parametrize(
    "path", [path for path in INVALID if path.name not in BEYOND_SCHEMAS], ids=lambda path: path.stem
)
def test_every_invalid_example_breaks_its_schema(path: Path) -> None:
    assert not schema_for(path).is_valid(json.loads(path.read_bytes()))


def test_every_topic_has_a_channel() -> None:
    device = "{device}"
    expected = {kind: f"{topics.ROOT}/{{shard}}/{device}/up/{kind}" for kind in topics.UP_KINDS}
    expected |= {kind: f"{topics.ROOT}/{{shard}}/{device}/down/{kind}" for kind in topics.DOWN_KINDS}
    assert {name: channel["address"] for name, channel in ASYNCAPI["channels"].items()} == expected
    assert ASYNCAPI["components"]["parameters"]["shard"]["enum"] == [*topics.SHARDS]


def test_the_server_receives_what_goes_up_and_sends_what_goes_down() -> None:
    actions = {
        operation["channel"]["$ref"].rsplit("/", 1)[1]: operation["action"]
        for operation in ASYNCAPI["operations"].values()
    }
    assert actions == dict.fromkeys(topics.UP_KINDS, "receive") | dict.fromkeys(topics.DOWN_KINDS, "send")
    assert all(operation["bindings"]["mqtt"]["qos"] == 1 for operation in ASYNCAPI["operations"].values())


@pytest.mark.parametrize("reference", sorted(set(references(ASYNCAPI))))
def test_every_reference_leads_somewhere(reference: str) -> None:
    assert resolve(reference) if reference.startswith("#/") else (PROTOCOL / reference).is_file()


@pytest.mark.parametrize("name", sorted(ASYNCAPI["components"]["messages"]))
def test_the_examples_in_the_document_fit_their_schemas(name: str) -> None:
    message = ASYNCAPI["components"]["messages"][name]
    schema = Path(message["payload"]["schema"]["$ref"]).name.removesuffix(".schema.json")
    assert message["examples"]
    for example in message["examples"]:
        validator(schema).validate(example["payload"])


def test_every_schema_is_used_in_the_document() -> None:
    used = {Path(reference).name for reference in references(ASYNCAPI) if not reference.startswith("#/")}
    assert used == set(generate.texts())


def test_every_reason_of_refusal_is_explained() -> None:
    explained = {line.split("`")[1] for line in README.splitlines() if line.startswith("| `")}
    assert explained == {*Reason}
