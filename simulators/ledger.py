"""Which records were generated: the ground against which what a server stored is counted."""

from collections.abc import Iterator, Mapping

from .emission import RecordKind

Identity = tuple[str, str, int]  # device id, epoch, seq

_KINDS: tuple[RecordKind, ...] = ("sample", "event", "score")


class Ledger(Mapping[Identity, RecordKind]):
    """Kind by identity, in one byte a record: numbers within an epoch leave no gap."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], bytearray] = {}
        self._length = 0

    def note(self, device: str, epoch: str, seq: int, kind: RecordKind) -> None:
        """Enter a new record; ValueError unless it has the next number of its epoch."""
        kinds = self._kinds.setdefault((device, epoch), bytearray())
        if seq != len(kinds):
            raise ValueError(f"{device} epoch {epoch}: record {seq} after {len(kinds)} records")
        kinds.append(_KINDS.index(kind))
        self._length += 1

    def __getitem__(self, identity: Identity) -> RecordKind:
        device, epoch, seq = identity
        kinds = self._kinds.get((device, epoch), b"")
        if not 0 <= seq < len(kinds):
            raise KeyError(identity)
        return _KINDS[kinds[seq]]

    def __iter__(self) -> Iterator[Identity]:
        for (device, epoch), kinds in self._kinds.items():
            yield from ((device, epoch, seq) for seq in range(len(kinds)))

    def __len__(self) -> int:
        return self._length
