"""Where randomness comes from: one independent stream per thing and purpose, all from one seed."""

import random
import uuid


def stream(seed: int, *names: object) -> random.Random:
    """The random stream that belongs to these names.

    Streams with different names are independent, so a new draw in one device, or on one day, moves no other
    number.
    """
    return random.Random("/".join(map(str, (seed, *names))))


def device_uuid(seed: int, serial: str) -> str:
    """A UUID (text, lower case) that is the same for the same seed and serial number."""
    return str(uuid.UUID(int=stream(seed, serial, "id").getrandbits(128), version=4))


def epoch_name(seed: int, serial: str, anchor: str, resets: int) -> str:
    """The epoch of a device that lost its memory `resets` times since the run that began at `anchor`.

    The anchor takes part because a run that starts anew is, for the server, a device without memory.
    """
    return f"{stream(seed, serial, 'epoch', anchor, resets).getrandbits(32):08x}"
