"""A lease knows with which role it was begun.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; there is no lease yet that could be without."""
    op.add_column("leases", sa.Column("role", sa.Text(), nullable=False, server_default=""))
