"""Everything a sender can do wrong in a message, from a seed, with the reason under which it must be kept.

All but too many bytes: those the broker keeps out already.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sc_stim.devices import topics


@dataclass(frozen=True)
class Bad:
    """A message from `device`. `seq` is its record's number where it can be read: then an ack covers it."""

    device: str
    topic: str
    payload: bytes
    reason: str
    seq: int | None = None


class Generator:
    """`known` are registered devices, `revoked` are, too, but no longer trusted; `strangers` the broker alone knows."""

    def __init__(
        self, seed: int, known: list[str], revoked: list[str], strangers: list[str], now: Callable[[], str]
    ) -> None:
        self._rng = random.Random(seed)
        self._known, self._revoked, self._strangers = known, revoked, strangers
        self._now = now
        self._seqs = dict.fromkeys(known, 10_000)  # far from those of good records

    def messages(self, count: int) -> Iterator[Bad]:
        makers = (
            self._bytes, self._deep, self._record, self._record, self._record, self._envelope,
            self._clock, self._stranger, self._foreign_shard, self._state,
        )  # fmt: skip
        for _ in range(count):
            yield self._rng.choice(makers)()

    def _device(self) -> str:
        return self._rng.choice(self._known)

    def _kind(self) -> topics.UpKind:
        return self._rng.choice(("telemetry", "history", "event", "diary"))

    def _bad(
        self, payload: bytes | str, reason: str, seq: int | None = None, device: str | None = None
    ) -> Bad:
        device = device or self._device()
        raw = payload if isinstance(payload, bytes) else payload.encode("utf-8", "surrogatepass")
        return Bad(device, topics.up(device, self._kind()), raw, reason, seq)

    def _unlike(self) -> str:
        """Text that no other message has, so that each is a row of its own."""
        return str(uuid.UUID(int=self._rng.getrandbits(128)))

    def _bytes(self) -> Bad:
        own = self._unlike()
        payload, reason = self._rng.choice(
            [
                ("not " + own, "bad_json"),
                (f'{{"epoch":"{own}"', "bad_json"),
                (f'{{"epoch":"e","samples":[{{"seq":1,"at":"{own}","state":"\\ud800"}}]}}', "bad_json"),
                (own.encode() + self._rng.randbytes(20) + b"\xff", "bad_utf8"),
                (f'{{"epoch":"e","note":"{own}\ud800"}}', "bad_utf8"),
                (f'{{"epoch":"e","note":"{own}","samples":[{{"seq":1,"reservoir_ml":NaN}}]}}', "not_finite"),
                (
                    f'{{"epoch":"e","note":"{own}","samples":[{{"seq":1,"reservoir_ml":-Infinity}}]}}',
                    "not_finite",
                ),
                (f'["{own}"]', "wrong_type"),
                (f'"{own}"', "wrong_type"),
            ]
        )
        return self._bad(payload, reason)

    def _deep(self) -> Bad:
        depth = self._rng.randrange(5_000, 20_000)
        nested = "[" * depth + "]" * depth
        return self._bad(f'{{"epoch":"e","note":"{self._unlike()}","x":{nested}}}', "too_deep")

    def _envelope(self) -> Bad:
        own, at = self._unlike(), self._now()
        sample = {"seq": 1, "at": at}
        head, reason = self._rng.choice(
            [
                ({"epoch": "e", "sent_at": at}, "empty"),
                ({"epoch": "e", "samples": [], "events": None}, "empty"),
                ({"sent_at": at, "samples": [sample]}, "missing_field"),
                ({"epoch": "a/b", "samples": [sample]}, "bad_text"),
                ({"epoch": "a\0b", "samples": [sample]}, "bad_text"),
                ({"epoch": "x" * 33, "samples": [sample]}, "bad_text"),
                ({"epoch": 7, "samples": [sample]}, "wrong_type"),
                ({"epoch": "e", "samples": {"0": sample}}, "wrong_type"),
                ({"epoch": "e", "sent_at": "yesterday", "samples": [sample]}, "bad_time"),
                ({"epoch": "e", "sent_at": "2026-11-22T12:00:00", "samples": [sample]}, "bad_time"),
            ]
        )
        return self._bad(json.dumps(head | {"note": own}), reason)

    def _record(self) -> Bad:
        """One record that is wrong in itself."""
        device = self._device()
        seq = self._seqs[device] = self._seqs[device] + 1
        value, reason = self._rng.choice(
            [
                ('"reservoir_ml":900', "out_of_range"),
                ('"flow_ml_per_day":-1', "out_of_range"),
                ('"boluses":99999999999999999999', "out_of_range"),
                ('"reservoir_ml":1e400', "not_finite"),
                ('"reservoir_ml":"17"', "wrong_type"),
                ('"boluses":1.5', "wrong_type"),
                ('"battery_v":true', "wrong_type"),
                ('"state":"napping"', "unknown_value"),
                ('"state":"a\\u0000b"', "unknown_value"),
                (f'"state":"{"x" * self._rng.randrange(2_000)}"', "unknown_value"),
            ]
        )
        item = f'{{"seq":{seq},"at":"{self._now()}",{value}}}'
        return self._bad(f'{{"epoch":"e1","samples":[{item}]}}', reason, seq, device)

    def _clock(self) -> Bad:
        device = self._device()
        seq = self._seqs[device] = self._seqs[device] + 1
        year = self._rng.choice((1970, 2009, 2036, 9999))
        item = {"seq": seq, "at": f"{year}-06-01T00:00:00Z", "reservoir_ml": 12}
        return self._bad(
            json.dumps({"epoch": "e1", "sent_at": self._now(), "samples": [item]}),
            "impossible_clock",
            seq,
            device,
        )

    def _state(self) -> Bad:
        device = self._device()
        kind = self._rng.choice(("state", "result"))
        payload = json.dumps({"online": self._unlike(), "id": self._unlike(), "status": "applied"})
        reason = "wrong_type" if kind == "state" else "unknown_value"
        return Bad(device, topics.up(device, kind), payload.encode(), reason)

    def _stranger(self) -> Bad:
        device = self._rng.choice(self._strangers + self._revoked)
        payload = {"epoch": "e1", "samples": [{"seq": 1, "at": self._now()}], "note": self._unlike()}
        reason = "revoked_device" if device in self._revoked else "unknown_device"
        return self._bad(json.dumps(payload), reason, device=device)

    def _foreign_shard(self) -> Bad:
        device = self._device()
        shard = self._rng.choice([shard for shard in topics.SHARDS if shard != device[-1]])
        topic = f"{topics.ROOT}/{shard}/{device}/up/telemetry"
        payload = json.dumps(
            {"epoch": "e1", "samples": [{"seq": 1, "at": self._now()}], "note": self._unlike()}
        )
        return Bad(device, topic, payload.encode(), "bad_topic")
