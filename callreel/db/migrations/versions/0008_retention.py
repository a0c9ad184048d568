"""How long sites keep recordings, when one was deleted, and when the last of its sound was erased.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ALIVE = "state <> 'deleted'"
_TO_ERASE = "state = 'deleted' AND erased_at IS NULL"


def upgrade() -> None:
    """Add them; every site keeps everything until somebody says otherwise."""
    op.add_column("sites", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.add_column("recordings", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("recordings", sa.Column("erased_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_recordings_alive",
        "recordings",
        ["datasource", "started_at", "id"],
        sqlite_where=sa.text(_ALIVE),
        postgresql_where=sa.text(_ALIVE),
    )
    op.create_index(
        "ix_recordings_to_erase",
        "recordings",
        ["deleted_at", "id"],
        sqlite_where=sa.text(_TO_ERASE),
        postgresql_where=sa.text(_TO_ERASE),
    )
