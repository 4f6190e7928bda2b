"""Bytes from a device to values, and answers to bytes. Pure, so it can be fuzzed without a broker.

A message has one envelope and any number of items. The usual message costs one typed decode; only when that
fails is it taken apart field by field, so that a bad item never costs its neighbours and unknown fields are
counted, not fatal.
"""

import json
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from sc_stim.devices.records import (
    Ack,
    Command,
    DeviceState,
    Epoch,
    Event,
    InvalidMessage,
    Message,
    PumpSample,
    Reason,
    Result,
    Score,
    Seq,
    StimulatorSample,
    Time,
    in_utc,
)

__all__ = [
    "MAX_PAYLOAD_BYTES", "Ack", "AnyItem", "Command", "DataKind", "DeviceKind", "DeviceState", "Envelope",
    "Event", "InvalidMessage", "PumpSample", "Reason", "Reject", "Result", "Score", "StimulatorSample",
    "decode", "decode_ack", "decode_command", "decode_result", "decode_state", "encode_ack",
    "encode_command",
]  # fmt: skip

MAX_PAYLOAD_BYTES = 64 * 1024

DataKind = Literal["telemetry", "history", "event", "diary"]
DeviceKind = Literal["pump", "stimulator"]
ListName = Literal["samples", "events", "scores"]
AnyItem = PumpSample | StimulatorSample | Event | Score


class Reject(Struct, frozen=True):
    """An item that cannot be taken: `raw` is its JSON as sent, `seq` its number where that could be read.

    `reason` is a word of Reason, or of ingest's own for an item that is well formed but cannot be stored.
    """

    seq: int | None
    reason: str
    field: str | None
    detail: str
    list_name: ListName
    raw: bytes


class Envelope(Struct, frozen=True):
    """A message taken: its good items, the rejected ones, and how many fields were not ours to know."""

    epoch: str
    sent_at: datetime | None
    items: list[AnyItem]
    rejects: list[Reject]
    unknown_fields: int


def decode(kind: DataKind, device_kind: DeviceKind, payload: bytes) -> Envelope:
    """Read a message of one of the data topics; raises InvalidMessage when it cannot be taken at all.

    The topic decides what may wait, the list an item stands in decides what it is: `samples`, `events` and
    `scores` are taken on every data topic, since a device back-fills all three.
    """
    _check_bytes(payload)
    try:
        wire = _WIRE[device_kind].decode(payload)
        items = [*(wire.samples or ()), *(wire.events or ()), *(wire.scores or ())]
        envelope = Envelope(wire.epoch, _sent_at(wire.sent_at), items, [], 0)
    except _UNREADABLE:
        envelope = _take_apart(device_kind, payload)
    if not envelope.items and not envelope.rejects:
        usual = _USUAL_LIST[kind]
        raise InvalidMessage(Reason.EMPTY, usual, f"the message has no items; put at least one in {usual!r}")
    return envelope


def decode_state(payload: bytes) -> DeviceState:
    """Read `up/state`; raises InvalidMessage. Unknown fields are ignored."""
    return _decode_object(_STATE, payload)


def decode_result(payload: bytes) -> Result:
    """Read `up/result`; raises InvalidMessage. Unknown fields are ignored."""
    return _decode_object(_RESULT, payload)


def decode_ack(payload: bytes) -> Ack:
    """Read `down/ack`, as a device does; raises InvalidMessage."""
    return _decode_object(_ACK, payload)


def decode_command(payload: bytes) -> Command:
    """Read `down/command`, as a device does; raises InvalidMessage."""
    return _decode_object(_COMMAND, payload)


def refuse(item: AnyItem, reason: str, field: str | None, detail: str) -> Reject:
    """A well-formed item that cannot be stored."""
    return Reject(item.seq, reason, field, detail, _LIST_OF[type(item)], msgspec.json.encode(item))


def message_of(envelope: Envelope, reject: Reject) -> bytes:
    """A message with this one item of the envelope, which can be decoded again like any other."""
    head = msgspec.json.encode({"epoch": envelope.epoch, "sent_at": envelope.sent_at})
    return b'%b,"%b":[%b]}' % (head[:-1], reject.list_name.encode(), reject.raw)


def encode_ack(epoch: str, upto: int, missing: list[tuple[int, int]], rejected: list[int]) -> bytes:
    """The stored-ack for one epoch of one device. Send it only after the commit it speaks of."""
    return msgspec.json.encode(Ack(epoch=epoch, upto=upto, missing=missing, rejected=rejected))


def encode_command(command: Command) -> bytes:
    """The payload of `down/command`; raises InvalidMessage for one that a device would refuse."""
    payload = msgspec.json.encode(command)
    decode_command(payload)
    return payload


# --- the quick way: the whole envelope in one typed decode ---

_UNREADABLE = (msgspec.MsgspecError, RecursionError)  # all that a decoder raises for UTF-8

_WIRE: dict[str, Decoder[Any]] = {
    "pump": Decoder(Message[PumpSample]),
    "stimulator": Decoder(Message[StimulatorSample]),
}
_LIST_OF: dict[type, ListName] = {
    PumpSample: "samples",
    StimulatorSample: "samples",
    Event: "events",
    Score: "scores",
}
_USUAL_LIST = {"telemetry": "samples", "history": "samples", "event": "events", "diary": "scores"}

# --- the careful way: field by field ---


_T = TypeVar("_T", bound=Struct)


class _Fields(Generic[_T]):
    """Reads the fields of one type each on its own, so that the first bad one can be named."""

    def __init__(self, kind: type[_T]) -> None:
        fields = msgspec.structs.fields(kind)
        self.kind = kind
        self.decoders = {field.encode_name: Decoder(field.type) for field in fields}
        self.required = [field.encode_name for field in fields if field.required]

    def read(self, raw: bytes | Raw) -> tuple[_T, int]:
        """The value and the number of unknown fields; raises InvalidMessage that names the field at fault."""
        given = _split_object(raw)
        for name in self.required:
            if name not in given:
                raise InvalidMessage(Reason.MISSING_FIELD, name, f"{name}: is missing")
        known = {name: given[name] for name in self.decoders if name in given}
        values = {name: _decode_field(name, self.decoders[name], value) for name, value in known.items()}
        return self.kind(**values), len(given) - len(known)


class _RawMessage(Struct, frozen=True, kw_only=True):
    epoch: Epoch
    sent_at: Time | None = None
    samples: list[Raw] | None = None
    events: list[Raw] | None = None
    scores: list[Raw] | None = None


class _Number(Struct):
    seq: Seq


_OBJECT = Decoder(dict[str, Raw])
_NUMBER = Decoder(_Number)
_STATE, _RESULT, _ACK, _COMMAND = _Fields(DeviceState), _Fields(Result), _Fields(Ack), _Fields(Command)
_ENVELOPE = _Fields(_RawMessage)
_EVENT, _SCORE = _Fields(Event), _Fields(Score)
_LISTS: dict[str, dict[ListName, _Fields[Any]]] = {
    "pump": {"samples": _Fields(PumpSample), "events": _EVENT, "scores": _SCORE},
    "stimulator": {"samples": _Fields(StimulatorSample), "events": _EVENT, "scores": _SCORE},
}


def _take_apart(device_kind: DeviceKind, payload: bytes) -> Envelope:
    wire, unknown_fields = _ENVELOPE.read(payload)
    items: list[AnyItem] = []
    rejects: list[Reject] = []
    for list_name, fields in _LISTS[device_kind].items():
        for raw in getattr(wire, list_name) or ():
            try:
                item, unknown = fields.read(raw)
            except InvalidMessage as error:
                rejects.append(_reject(list_name, raw, error))
            else:
                items.append(item)
                unknown_fields += unknown
    return Envelope(wire.epoch, _sent_at(wire.sent_at), items, rejects, unknown_fields)


def _reject(list_name: ListName, raw: Raw, error: InvalidMessage) -> Reject:
    try:
        seq = _NUMBER.decode(raw).seq
    except _UNREADABLE:
        seq = None
    return Reject(seq, error.reason, error.field, error.detail, list_name, bytes(raw))


def _sent_at(at: datetime | None) -> datetime | None:
    return None if at is None else in_utc(at, "sent_at")


def _decode_object(fields: _Fields[_T], payload: bytes) -> _T:
    _check_bytes(payload)
    value, _ = fields.read(payload)
    return value


def _check_bytes(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InvalidMessage(Reason.OVERSIZE, None, f"{len(payload)} bytes, {MAX_PAYLOAD_BYTES} is the limit")
    try:
        payload.decode()  # here, as msgspec reads over what it skips
    except UnicodeDecodeError as error:
        raise InvalidMessage(Reason.BAD_UTF8, None, f"the bytes are not UTF-8: {error.reason}") from error


def _split_object(raw: bytes | Raw) -> dict[str, Raw]:
    try:
        return _OBJECT.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidMessage(Reason.WRONG_TYPE, None, str(error)) from error
    except _UNREADABLE as error:
        _refuse_malformed(bytes(raw), error)


def _decode_field(name: str, decoder: Decoder[Any], raw: Raw) -> Any:
    try:
        return decoder.decode(raw)
    except _UNREADABLE as error:
        raise InvalidMessage(_reason_of(error), name, f"{name}: {error}") from error


# msgspec says what is wrong in words only; the tests hold every line of this table to them.
_REASONS = (
    ("Invalid enum value", Reason.UNKNOWN_VALUE),  # first, as it quotes what was sent
    ("got `", Reason.WRONG_TYPE),
    ("ut of range", Reason.NOT_FINITE),
    ("datetime", Reason.BAD_TIME),
    ("regex", Reason.BAD_TEXT),
    ("of length", Reason.TOO_LONG),
    ("Expected `", Reason.OUT_OF_RANGE),
)


def _reason_of(error: Exception) -> Reason:
    if isinstance(error, RecursionError):
        return Reason.TOO_DEEP
    return next((reason for words, reason in _REASONS if words in str(error)), Reason.BAD_JSON)


def _refuse_malformed(raw: bytes, error: Exception) -> NoReturn:
    """Find out why bytes are no JSON: RFC 8259 knows neither NaN nor Infinity, many senders do."""
    if isinstance(error, RecursionError):
        raise InvalidMessage(Reason.TOO_DEEP, None, "nested too deeply") from error
    with suppress(json.JSONDecodeError, RecursionError):
        json.loads(raw.decode(), parse_constant=_refuse_constant, parse_int=str)
    raise InvalidMessage(Reason.BAD_JSON, None, f"not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidMessage(Reason.NOT_FINITE, None, f"{name} is not JSON; send null for what was not measured")
