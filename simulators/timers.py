"""Things to do at a later time, for a loop that has to know how long it may sleep."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Timers:
    """Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._orders = count()

    def at(self, due_s: float, action: Action) -> None:
        heapq.heappush(self._heap, (due_s, next(self._orders), action))

    def run_due(self, now_s: float) -> None:
        """Do everything that is due; what that adds for now waits for the next call."""
        due = []
        while self._heap and self._heap[0][0] <= now_s:
            due.append(heapq.heappop(self._heap)[2])
        for action in due:
            action()

    def sleep_s(self, now_s: float, at_most: float) -> float:
        """How long nothing is due."""
        return min(at_most, max(0.0, self._heap[0][0] - now_s)) if self._heap else at_most
