"""When calls were answered, how coarse their times are, and how far off a recording may begin.

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
    op.add_column(
        "recordings", sa.Column("starts_early_s", sa.Double(), nullable=False, server_default="0")
    )
    # Vorbis was found to spread a sound further than was thought; what is there must know.
    op.execute(
        "UPDATE recordings SET memory_frames = 8192 WHERE codec = 'vorbis' AND memory_frames < 8192"
    )
