"""Tables of those who work in a browser: sessions, notes, views, listening, links, what goes on.

A part of ``schema.py``, with the same metadata.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from callreel.db.schema import metadata

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("password_version", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("address", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index(None, "web_user_id"),
    Index(None, "created_at"),
)

notes = Table(
    "notes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("call_id", Text, ForeignKey("call_records.id"), nullable=False),
    Column("at_s", Double),
    Column("text", Text, nullable=False),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    Index(None, "call_id"),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "web_user_id"),
    CheckConstraint("audience IN ('me', 'team', 'everyone')", name="audience_known"),
)

playbacks = Table(
    "playbacks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recording_id", Text, ForeignKey("recordings.id"), nullable=False),
    Column("call_id", Text),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("label", Text),
    Column("mask_revision", Integer, nullable=False),
    Column("address", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
    Column("speed", Double, nullable=False),
    Column("heard", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("seat", Text, nullable=False, server_default=""),
    Column("sent", Text),
    Index(None, "recording_id"),
    Index(None, "started_at"),
    Index(None, "name"),
    Index(None, "web_user_id", "started_at"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recording_id", Text, ForeignKey("recordings.id"), nullable=False),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("download", Boolean, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "expires_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recording_id", Text, ForeignKey("recordings.id"), nullable=False),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("download", Boolean, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("role", Text, nullable=False, server_default=""),
    Index(None, "ends_at"),
    Index(None, "recording_id"),
)

ongoing_legs = Table(
    "ongoing_legs",
    metadata,
    Column("datasource", Text, ForeignKey("datasources.id"), primary_key=True),
    Column("unique_id", Text, primary_key=True),
    Column("linked_id", Text, nullable=False),
    Column("site_id", Text, ForeignKey("sites.id"), nullable=False),
    Column("directory_user_id", Text, ForeignKey("directory_users.id")),
    Column("extension", Text),
    Column("direction", Text, nullable=False),
    Column("from_number", Text, nullable=False),
    Column("to_number", Text, nullable=False),
    Column("caller_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    Column("told_at", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
    Index(None, "heard_at"),
    Index(None, "datasource", "linked_id"),
    CheckConstraint("state IN ('ringing', 'talking', 'held', 'ended')", name="state_known"),
)

preferences = Table(
    "preferences",
    metadata,
    Column("web_user_id", Text, ForeignKey("web_users.id"), primary_key=True),
    Column("chosen", Text, nullable=False),
)
