"""The one place that reads the wall clock. Tests and simulations replace `now`."""

import datetime as dt


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
