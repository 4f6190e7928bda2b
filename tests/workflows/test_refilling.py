"""What the form of a refill visit shows before anything is typed."""

import datetime as dt

import pytest
from flask import Flask

from sc_stim.extensions import db
from sc_stim.workflows.refilling import expected_residual_ml
from tests.builders import AT, create_fill, create_pump, create_setting

DAY = dt.timedelta(days=1)


def test_the_expected_residual_follows_the_programme_since_the_last_fill(app: Flask) -> None:
    pump = create_pump()
    create_setting(device=pump, effective_at=AT - 28 * DAY, flow_ml_per_day=0.4)
    create_setting(device=pump, effective_at=AT - 14 * DAY, flow_ml_per_day=0.6)
    create_fill(pump=pump, at=AT - 28 * DAY)
    assert expected_residual_ml(db.session(), pump, AT) == pytest.approx(20 - 14 * 0.4 - 14 * 0.6)


def test_without_a_fill_or_settings_nothing_is_expected(app: Flask) -> None:
    pump = create_pump()
    assert expected_residual_ml(db.session(), pump, AT) is None
    create_fill(pump=pump)
    assert expected_residual_ml(db.session(), pump, AT) is None
