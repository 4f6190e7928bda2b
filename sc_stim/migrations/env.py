"""Alembic's entry, run by Flask-Migrate inside an app context."""

from alembic import context
from flask import current_app

import sc_stim.models  # noqa: F401  (registers every table)
from sc_stim.extensions import db

with db.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        user_module_prefix="types.",
        **current_app.extensions["migrate"].configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()
