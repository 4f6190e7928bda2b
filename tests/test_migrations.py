"""The migrations make the tables the models describe, on both databases, and can be taken back."""

from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect

from sc_stim.app import create_app
from sc_stim.extensions import db
from tests.builders import settings
from tests.servers import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An app on a database without tables."""
    postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    url = postgres.create_database() if postgres else f"sqlite:///{tmp_path}/sc_stim.db"
    app = create_app(settings(url))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    if postgres:
        postgres.drop_database(url)


def test_upgrading_an_empty_database_makes_what_the_models_describe(empty: Flask) -> None:
    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_a_downgrade_leaves_nothing_behind(empty: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.downgrade(revision="base")
    assert inspect(db.engine).get_table_names() == ["alembic_version"]
