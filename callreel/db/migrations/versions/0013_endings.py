"""Calls found by the end of a number, newest first.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index for each side; the last three characters are one in a thousand."""
    for side in ("from", "to"):
        number = f"{side}_number"
        ending = (
            f"substr({number}, CASE WHEN length({number}) > 3 THEN length({number}) - 2 ELSE 1 END)"
        )
        op.execute(
            f"CREATE INDEX ix_call_records_{side}_ending"
            f" ON call_records (({ending}), started_at, id)"
        )
