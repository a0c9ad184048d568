"""How Alembic runs the migrations: on the connection and in the transaction of the caller."""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

from alembic import context

from callreel.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
