"""Jobs that people wait for, and schedules of what is sent by itself.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("web_user_id", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done_count", sa.BigInteger(), nullable=False),
        sa.Column("total_count", sa.BigInteger()),
        sa.Column("told", sa.Text()),
        sa.Column("reach", sa.Text()),
        sa.Column("file_name", sa.Text()),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_jobs_state_known"),
        ),
        sa.ForeignKeyConstraint(["web_user_id"], ["web_users.id"], name="fk_jobs_web_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state_created_at", "jobs", ["state", "created_at"])
    op.create_index("ix_jobs_web_user_id_created_at", "jobs", ["web_user_id", "created_at"])
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"])
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("web_user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer()),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text()),
        sa.Column("only_if_not_empty", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_run_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("pending", sa.Text()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_run_at", sa.BigInteger()),
        sa.Column("last_state", sa.Text()),
        sa.Column("last_result", sa.Text()),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "every IN ('daily', 'weekly', 'monthly')", name=op.f("ck_schedules_every_known")
        ),
        sa.CheckConstraint(
            "last_state IN ('sent', 'empty', 'trying', 'failed')",
            name=op.f("ck_schedules_last_state_known"),
        ),
        sa.ForeignKeyConstraint(["web_user_id"], ["web_users.id"], name="fk_schedules_web_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
    )
    op.create_index("ix_schedules_web_user_id", "schedules", ["web_user_id"])
    op.create_index("ix_schedules_next_run_at", "schedules", ["next_run_at"])
