"""The accounts of the embedded broker: the application's table ``broker_login``, read and never written."""

import sqlite3
from pathlib import Path

from sc_stim.devices.broker_access import Login, Role

_SELECT = "SELECT username, role, password_hash, salt, iterations FROM broker_login WHERE revoked_at IS NULL"


class LoginTable:
    """Reads a fresh state on every call. Raises sqlite3.Error when the database cannot be read."""

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(
            f"{database.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
        )

    def find(self, username: str) -> Login | None:
        """The account, unless there is none or it was revoked."""
        row = self._connection.execute(f"{_SELECT} AND username = ?", (username,)).fetchone()
        return _login(row) if row else None

    def valid(self) -> dict[str, Login]:
        """Every account that may connect now, by name."""
        return {row[0]: _login(row) for row in self._connection.execute(_SELECT)}

    def close(self) -> None:
        self._connection.close()


def _login(row: tuple[str, str, str, str, int]) -> Login:
    username, role, password_hash, salt, iterations = row
    return Login(username, Role(role), password_hash, salt, iterations)
