"""Calls in progress.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "ongoing_legs",
        sa.Column("datasource", sa.Text(), nullable=False),
        sa.Column("unique_id", sa.Text(), nullable=False),
        sa.Column("linked_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("directory_user_id", sa.Text()),
        sa.Column("extension", sa.Text()),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("caller_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('ringing', 'talking', 'held', 'ended')",
            name=op.f("ck_ongoing_legs_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["datasource"], ["datasources.id"], name="fk_ongoing_legs_datasource"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_ongoing_legs_site_id"),
        sa.ForeignKeyConstraint(
            ["directory_user_id"], ["directory_users.id"], name="fk_ongoing_legs_directory_user_id"
        ),
        sa.PrimaryKeyConstraint("datasource", "unique_id", name="pk_ongoing_legs"),
    )
    op.create_index("ix_ongoing_legs_heard_at", "ongoing_legs", ["heard_at"])
    op.create_index(
        "ix_ongoing_legs_datasource_linked_id", "ongoing_legs", ["datasource", "linked_id"]
    )
