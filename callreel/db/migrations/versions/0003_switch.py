"""Signals that name legs of a call as their switch does, and calls that can be found so.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the names; calls that are there get theirs when they are imported again."""
    op.add_column("call_records", sa.Column("unique_id", sa.Text(), nullable=True))
    for name in ("datasource", "unique_id", "linked_id"):
        op.add_column("signals", sa.Column(name, sa.Text(), nullable=True))
    for table in ("call_records", "signals"):
        for name in ("unique_id", "linked_id"):
            op.create_index(op.f(f"ix_{table}_{name}"), table, [name])
