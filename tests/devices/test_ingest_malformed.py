"""Thousands of malformed messages among good ones, through the real broker and one ingest process."""

import json
import random
from collections import Counter
from collections.abc import Callable

from sqlalchemy import func, select

from sc_stim.devices import topics
from sc_stim.models import Quarantine
from tests.devices.mqtt_client import Client
from tests.devices.test_ingest_process import (
    Running,
    Stand,
    acks,
    device,
    embedded_broker,
    intake,
    intake_engines,
    mosquitto,
    mosquitto_only,
    ready,
    stand,
)
from tests.intake import AT, Speaker
from tests.servers import wait_until

__all__ = ["device", "embedded_broker", "intake", "intake_engines", "mosquitto", "stand"]

SEED = 20261122
MANY = 5_000
NOW = AT.isoformat()


def sample(number: int, **values: object) -> bytes:
    return json.dumps(
        {"epoch": "bad", "sent_at": NOW, "samples": [{"seq": number, "at": NOW} | values]}
    ).encode()


def event(number: int, detail: object) -> bytes:
    item = {"seq": number, "at": NOW, "kind": "reset", "detail": detail}
    return json.dumps({"epoch": "bad", "sent_at": NOW, "events": [item]}).encode()


def nested(depth: int) -> object:
    return {"deeper": nested(depth - 1)} if depth else 1


MALFORMED: dict[str, Callable[[int], bytes]] = {
    "bad_json": lambda number: sample(number)[:-3],
    "bad_utf8": lambda number: sample(number, state="running").replace(b"running", b"runn\xffng"),
    "not_finite": lambda number: sample(number, battery_v=float("nan")),
    "wrong_type": lambda number: sample(number, battery_v="full"),
    "out_of_range": lambda number: sample(number, reservoir_ml=900),
    "unknown_value": lambda number: sample(number, state="flying"),
    "missing_field": lambda number: json.dumps({"epoch": "bad", "samples": [{"seq": number}]}).encode(),
    "bad_time": lambda number: sample(number, at="2026-11-22T12:00:00"),
    "impossible_clock": lambda number: sample(number, at="2001-01-01T00:00:00Z"),
    "bad_text": lambda number: event(number, {"note": "a\0b"}),
    "too_deep": lambda number: event(number, nested(30)),
    "too_long": lambda number: event(number, {"note": "x" * 5_000}),
    "empty": lambda number: json.dumps({"epoch": "bad", "number": number}).encode(),
}


@mosquitto_only
def test_all_good_ones_are_stored_and_all_malformed_ones_kept_with_their_reason(
    stand: Stand, device: tuple[Speaker, Client]
) -> None:
    pump, client = device
    rng, expected = random.Random(SEED), Counter[str]()
    topic = topics.up(pump.public_id, "telemetry")
    runner = stand.runner()
    with Running(runner):
        ready(runner)
        for number in range(MANY):
            reason = rng.choice(sorted(MALFORMED))
            expected[reason] += 1
            good = pump.says(pump.item(number, reservoir_ml=12.5), epoch="good").payload
            for payload in rng.sample([good, MALFORMED[reason](number)], 2):
                client.publish(topic, payload)
        wait_until(
            lambda: any((ack.epoch, ack.upto) == ("good", MANY - 1) for ack in acks(client)),
            "the stored-ack of the last good one",
            60,
        )
        wait_until(
            lambda: stand.intake.one(select(func.count()).select_from(Quarantine)) == MANY,
            "the last malformed one to be kept",
        )
    assert stand.intake.stored() == [(pump.id, "good", number) for number in range(MANY)]
    kept = stand.intake.all(select(Quarantine.reason, func.count()).group_by(Quarantine.reason))
    assert dict(map(tuple, kept)) == expected
