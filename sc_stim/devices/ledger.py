"""Which record numbers of one (device, epoch) have been taken, and what the stored-ack may say about them.

A device erases what an ack covers, so the one rule is: a number not taken is never covered. Numbers of
quarantined records count as taken too. Gaps that never fill (a device overwrote its oldest records) must
not hold up the newer ones, and an ack must stay small: of many gaps the oldest are told as one. That covers
less, never more.
"""

import re
from bisect import bisect_left, bisect_right

MAX_GAPS = 64  # in one ack

_PART = re.compile(r"([0-9]+)(?:-([0-9]+))?")


class SeqRanges:
    """A set of numbers >= 0, kept as sorted disjoint ranges; each act costs a binary search."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @classmethod
    def from_text(cls, text: str) -> "SeqRanges":
        """Read what `to_text` wrote, such as `0-41,44,50-60`; raises ValueError that quotes what is wrong."""
        ranges = cls()
        for part in text.split(",") if text else ():
            match = _PART.fullmatch(part)
            if match is None:
                raise ValueError(f"sequence ranges: {part!r} is neither a number nor a range such as 50-60")
            ranges.add_range(int(match[1]), int(match[2] or match[1]))
        return ranges

    def to_text(self) -> str:
        """The ranges as compact text, `` for none."""
        return ",".join(
            str(first) if first == last else f"{first}-{last}"
            for first, last in zip(self._firsts, self._lasts, strict=True)
        )

    def __contains__(self, seq: int) -> bool:
        if not self._lasts or seq > self._lasts[-1]:
            return False
        index = bisect_right(self._firsts, seq)
        return index > 0 and seq <= self._lasts[index - 1]

    def add(self, seq: int) -> bool:
        """Take one number; False when it had been taken before."""
        if self._lasts and seq == self._lasts[-1] + 1:  # as nearly always
            self._lasts[-1] = seq
            return True
        if seq in self:
            return False
        self.add_range(seq, seq)
        return True

    def discard(self, seq: int) -> None:
        """Take one number out again, if it is in."""
        if seq not in self:
            return
        index = bisect_right(self._firsts, seq) - 1
        first, last = self._firsts[index], self._lasts[index]
        left = [(first, seq - 1)] if first < seq else []
        right = [(seq + 1, last)] if seq < last else []
        self._firsts[index : index + 1] = [part[0] for part in left + right]
        self._lasts[index : index + 1] = [part[1] for part in left + right]

    def forget_oldest(self, keep: int) -> None:
        """Keep only this many ranges (>= 1), those of the highest numbers."""
        del self._firsts[:-keep], self._lasts[:-keep]

    def add_range(self, first: int, last: int) -> None:
        """Take first..last, both included; raises ValueError unless 0 <= first <= last."""
        if not 0 <= first <= last:
            raise ValueError(f"sequence range {first}-{last}: must be 0 <= first <= last")
        start = bisect_left(self._lasts, first - 1)  # the ranges start..stop overlap or touch the new one
        stop = bisect_right(self._firsts, last + 1)
        if start < stop:
            first, last = min(first, self._firsts[start]), max(last, self._lasts[stop - 1])
        self._firsts[start:stop] = [first]
        self._lasts[start:stop] = [last]

    @property
    def upto(self) -> int:
        """The highest number taken, -1 when there is none."""
        return self._lasts[-1] if self._lasts else -1

    def missing(self, max_gaps: int = MAX_GAPS) -> list[tuple[int, int]]:
        """The gaps below `upto`, ascending; of more than max_gaps (>= 1) the oldest are merged into one."""
        oldest = max(len(self._firsts) - max_gaps, 0)  # the range that ends the oldest gap told apart
        lasts_before = self._lasts[oldest - 1 :] if oldest else [-1, *self._lasts]
        gaps = [
            (last + 1, first - 1)
            for last, first in zip(lasts_before, self._firsts[oldest:], strict=False)
            if first > last + 1
        ]
        if oldest:
            gaps[0] = (0 if self._firsts[0] else self._lasts[0] + 1, gaps[0][1])
        return gaps
