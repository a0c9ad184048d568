"""What people need who work in a browser: sessions, notes, saved views, what they listened to.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; callers' names of calls that are there come with their next import."""
    op.add_column(
        "call_records", sa.Column("caller_name", sa.Text(), nullable=False, server_default="")
    )
    op.create_table(
        "web_sessions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), nullable=False),
        sa.Column("password_version", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_web_sessions_web_user_id", "web_sessions", ["web_user_id"])
    op.create_index("ix_web_sessions_created_at", "web_sessions", ["created_at"])
    op.create_table(
        "notes",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("call_id", sa.Text(), sa.ForeignKey("call_records.id"), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_notes_call_id", "notes", ["call_id"])
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("audience IN ('me', 'team', 'everyone')", name="audience_known"),
    )
    op.create_index("ix_saved_views_web_user_id", "saved_views", ["web_user_id"])
    op.create_table(
        "playbacks",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("recording_id", sa.Text(), sa.ForeignKey("recordings.id"), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("mask_revision", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.Column("speed", sa.Double(), nullable=False),
        sa.Column("heard", sa.Text(), nullable=False),
    )
    op.create_index("ix_playbacks_recording_id", "playbacks", ["recording_id"])
    op.create_index("ix_playbacks_started_at", "playbacks", ["started_at"])
    op.create_index(
        "ix_playbacks_web_user_id_started_at", "playbacks", ["web_user_id", "started_at"]
    )
    op.create_table(
        "tickets",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("recording_id", sa.Text(), sa.ForeignKey("recordings.id"), nullable=False),
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("download", sa.Boolean(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_tickets_expires_at", "tickets", ["expires_at"])
    op.create_table(
        "leases",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("recording_id", sa.Text(), sa.ForeignKey("recordings.id"), nullable=False),
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("download", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_leases_ends_at", "leases", ["ends_at"])
    op.create_index("ix_leases_recording_id", "leases", ["recording_id"])
    op.create_table(
        "preferences",
        sa.Column("web_user_id", sa.Text(), sa.ForeignKey("web_users.id"), primary_key=True),
        sa.Column("chosen", sa.Text(), nullable=False),
    )
