"""The tables of jobs and of schedules; the rest of the schema is in ``schema.py``.

``parameters``, ``reach``, ``recipients`` and ``pending`` are JSON.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from callreel.db.schema import metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("done_count", BigInteger, nullable=False),
    Column("total_count", BigInteger),
    Column("told", Text),
    Column("reach", Text),
    Column("file_name", Text),
    Column("size_bytes", BigInteger),
    Column("tries", Integer, nullable=False),
    Column("claimed_by", Text),
    Column("lease_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "state", "created_at"),
    Index(None, "web_user_id", "created_at"),
    Index(None, "expires_at"),
    CheckConstraint(
        "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state_known"
    ),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("every", Text, nullable=False),
    Column("day", Integer),
    Column("minute", Integer, nullable=False),
    Column("zone", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("folder", Text),
    Column("only_if_not_empty", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("next_run_at", BigInteger),
    Column("due_at", BigInteger),
    Column("pending", Text),
    Column("tries", Integer, nullable=False),
    Column("last_run_at", BigInteger),
    Column("last_state", Text),
    Column("last_result", Text),
    Column("claimed_by", Text),
    Column("lease_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "web_user_id"),
    Index(None, "next_run_at"),
    CheckConstraint("every IN ('daily', 'weekly', 'monthly')", name="every_known"),
    CheckConstraint("last_state IN ('sent', 'empty', 'trying', 'failed')", name="last_state_known"),
)
