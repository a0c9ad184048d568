"""Calls of one number, without reading those of another direction or site.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put direction and site into the indexes of numbers; the number too into that of its end."""
    for side in ("from", "to"):
        number = f"{side}_number"
        op.drop_index(f"ix_call_records_{number}_started_at_id")
        op.create_index(
            f"ix_call_records_{number}_started_at_id_direction_site_id",
            "call_records",
            [number, "started_at", "id", "direction", "site_id"],
        )
        ending = (
            f"substr({number}, CASE WHEN length({number}) > 3 THEN length({number}) - 2 ELSE 1 END)"
        )
        op.drop_index(f"ix_call_records_{side}_ending")
        op.execute(
            f"CREATE INDEX ix_call_records_{side}_ending ON call_records"
            f" (({ending}), started_at, id, {number}, direction, site_id)"
        )
