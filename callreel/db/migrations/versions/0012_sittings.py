"""What was sent to a player, and which seat a sitting belongs to.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; sittings that are known already are over, and nobody knows what was sent."""
    for name in ("name", "seat"):
        op.add_column("playbacks", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("playbacks", sa.Column("sent", sa.Text()))
    op.create_index(op.f("ix_playbacks_name"), "playbacks", ["name"])
