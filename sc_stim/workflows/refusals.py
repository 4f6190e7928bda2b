"""Why an act is not done. The API answers these with 422 and 409, a page shows them beside the form."""


class FieldRefused(ValueError):
    """A value that cannot be right given what is already on record; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Conflict(Exception):
    """The act does not fit the state of the record; the text says what to do instead."""
