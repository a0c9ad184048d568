"""What is done with keys heard in a recording, and at which mask revision it was searched for them.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_DUE = (
    "state = 'ready' AND key_presses IS NOT NULL AND (keys_revision IS NULL"
    " OR (key_presses = 'list' AND keys_revision <> mask_revision))"
)


def upgrade() -> None:
    """Add both; recordings that are there are searched when somebody asks for it."""
    op.add_column("recordings", sa.Column("key_presses", sa.Text(), nullable=True))
    op.add_column("recordings", sa.Column("keys_revision", sa.Integer(), nullable=True))
    op.create_index(
        "ix_recordings_keys_due",
        "recordings",
        ["created_at"],
        sqlite_where=sa.text(_DUE),
        postgresql_where=sa.text(_DUE),
    )
