"""How far a run is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`position`: how much of the history is generated, 0-1. `forgotten`: lost by devices with their memory."""

    devices: int
    connected: int
    generated: int
    stored: int
    forgotten: int
    position: float
    history_stored: bool

    @property
    def share(self) -> float:
        """Of the history, generated and acknowledged, 0-1: for a progress bar, which is full only when all is."""
        if self.history_stored:
            return 1.0
        done = self.position * (self.stored + self.forgotten) / self.generated if self.generated else 0.0
        return min(done, 0.99)
