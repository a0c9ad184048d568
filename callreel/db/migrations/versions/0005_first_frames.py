"""When calls were answered, how coarse their times are, and how late a recording may begin.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; calls that are there get theirs when they are imported again."""
    op.add_column("call_records", sa.Column("answered_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "call_records", sa.Column("clock_s", sa.Double(), nullable=False, server_default="0")
    )
    op.add_column(
        "recordings", sa.Column("starts_late_s", sa.Double(), nullable=False, server_default="0")
    )
