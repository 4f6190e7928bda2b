"""Writes schemas/ from the types in sc_stim/devices/records.py: `python docs/protocol/generate.py`.

A test fails while the files differ from what this writes.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from sc_stim.devices import records

SCHEMAS = Path(__file__).parent / "schemas"

TYPES: dict[str, Any] = {
    "pump-data": records.Message[records.PumpSample],
    "stimulator-data": records.Message[records.StimulatorSample],
    "state": records.DeviceState,
    "result": records.Result,
    "ack": records.Ack,
    "command": records.Command,
}


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of message. Unknown fields are allowed."""
    (reference,), definitions = msgspec.json.schema_components([TYPES[name]], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition.pop("additionalProperties", None)
        definition["description"] = inspect.cleandoc(definition["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{name}.schema.json",
        **reference,
        "$defs": dict(sorted(definitions.items())),
    }


def texts() -> dict[str, str]:
    """File name to content, for every schema."""
    return {f"{name}.schema.json": json.dumps(schema_of(name), indent=1) + "\n" for name in TYPES}


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for file_name, text in texts().items():
        (SCHEMAS / file_name).write_text(text, encoding="utf-8")
