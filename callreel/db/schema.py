"""Every table, once, for both dialects. Migrations in ``migrations/`` bring a database to this.

Instants are unix milliseconds (``*_at``), seconds are doubles, ids are text. The rows that writers
use are in ``call_records``; integrators read the view ``calls`` (contract.md section 5), which the
migrations make.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    or_,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# SQLite counts rows by itself only where the key is a plain INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")


def _index_where(name: str, rows: ColumnElement[bool], *columns: Column[Any]) -> None:
    """An index of some rows only."""
    Index(name, *columns, sqlite_where=rows, postgresql_where=rows)


sites = Table(
    "sites",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("default_voicelocation", Text),
    Column("timezone", Text, nullable=False),
    Column("pad_s", Double, nullable=False),
    Column("max_span_s", Double),
    Column("settle_s", Double, nullable=False),
    Column("fill_kind", Text, nullable=False, server_default="tone"),
    Column("fill_hz", Double, nullable=False, server_default="1000"),
    Column("fill_dbfs", Double, nullable=False, server_default="-20"),
    Column("fill_samples", LargeBinary),
    Column("fill_rate_hz", Integer),
    Column("burn_in_after_s", Double),
    Column("key_presses", Text, nullable=False, server_default="list"),
    Column("retention_days", Integer),
)

datasources = Table(
    "datasources",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("sites.id"), nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("sites.id"), nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("site_id", "name"),
)

directory_users = Table(
    "directory_users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("sites.id"), nullable=False),
    Column("group_id", Text, ForeignKey("groups.id")),
    Column("extension", Text, nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("site_id", "extension"),
    Index(None, "group_id"),
    Index(None, "extension"),
)

channels = Table(
    "channels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("sites.id"), nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("site_id", "name"),
    Index(None, "name"),
)

stores = Table(
    "stores",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uri", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
)

voicelocations = Table(
    "voicelocations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("echo_url", Text),
    Column("store_id", Text, ForeignKey("stores.id"), nullable=False),
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("datasource", Text, nullable=False),
    Column("voicelocation", Text, ForeignKey("voicelocations.id"), nullable=False),
    Column("voicefilename", Text, nullable=False),
    Column("store_id", Text, ForeignKey("stores.id"), nullable=False),
    Column("object_key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("content_version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("codec", Text),
    Column("container", Text),
    Column("rate_hz", Integer),
    Column("channels", Integer),
    Column("frames", BigInteger),
    Column("data_offset", BigInteger),
    Column("data_size", BigInteger),
    Column("block_align", Integer),
    Column("memory_frames", Integer),
    Column("repaired", Text),
    Column("agent_channel", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("starts_late_s", Double, nullable=False, server_default="0"),
    Column("starts_early_s", Double, nullable=False, server_default="0"),
    Column("ready_at", BigInteger, nullable=False),
    Column("mask_revision", Integer, nullable=False),
    Column("mask_seal", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("burned_at", BigInteger),
    Column("burned_revision", Integer),
    Column("source_commitment", Text),
    Column("key_presses", Text),
    Column("keys_revision", Integer),
    Column("deleted_at", BigInteger),
    Column("erased_at", BigInteger),
    UniqueConstraint("datasource", "voicelocation", "voicefilename"),
    Index(None, "sha256"),
    Index(None, "object_key"),
    Index(None, "source_commitment"),
    CheckConstraint("state IN ('ready', 'unplayable', 'deleted')", name="state_known"),
)

# Values are written out: SQLite uses the index only where a query has the very same ones.
keys_due = and_(
    recordings.c.state == literal_column("'ready'"),
    recordings.c.key_presses.is_not(None),
    or_(
        recordings.c.keys_revision.is_(None),
        and_(
            recordings.c.key_presses == literal_column("'list'"),
            recordings.c.keys_revision != recordings.c.mask_revision,
        ),
    ),
)
"""Which recordings are still to be searched for pressed keys."""
_index_where("ix_recordings_keys_due", keys_due, recordings.c.created_at)

is_alive = recordings.c.state != literal_column("'deleted'")
"""Recordings that retention has not deleted."""
to_erase = and_(recordings.c.state == literal_column("'deleted'"), recordings.c.erased_at.is_(None))
"""Deleted recordings of which something may be left on a disk."""
_oldest_first = (recordings.c.datasource, recordings.c.started_at, recordings.c.id)
_index_where("ix_recordings_alive", is_alive, *_oldest_first)
_index_where("ix_recordings_to_erase", to_erase, recordings.c.deleted_at, recordings.c.id)

call_records = Table(
    "call_records",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("sites.id"), nullable=False),
    Column("datasource", Text, ForeignKey("datasources.id"), nullable=False),
    Column("voicelocation", Text),
    Column("voicefilename", Text),
    Column("recording_id", Text, ForeignKey("recordings.id")),
    Column("started_at", BigInteger, nullable=False),
    Column("duration_s", Double, nullable=False),
    Column("answered_at", BigInteger),
    Column("clock_s", Double, nullable=False, server_default="0"),
    Column("direction", Text, nullable=False),
    Column("from_number", Text, nullable=False),
    Column("to_number", Text, nullable=False),
    Column("extension", Text),
    Column("channel", Text),
    Column("directory_user_id", Text, ForeignKey("directory_users.id")),
    Column("channel_id", Text, ForeignKey("channels.id")),
    Column("disposition", Text, nullable=False),
    Column("caller_name", Text, nullable=False, server_default=""),
    Column("unique_id", Text),
    Column("linked_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "started_at", "id"),
    Index(None, "site_id", "started_at", "id"),
    Index(None, "voicefilename", "voicelocation", "datasource"),
    Index(None, "recording_id"),
    Index(None, "duration_s", "id"),
    Index(None, "extension", "started_at", "id"),
    Index(None, "caller_name", "started_at", "id"),
    Index(None, "direction", "started_at", "id"),
    Index(None, "disposition", "started_at", "id"),
    # With what a list of one number is narrowed by most often: those not wanted are not read.
    Index(None, "from_number", "started_at", "id", "direction", "site_id"),
    Index(None, "to_number", "started_at", "id", "direction", "site_id"),
    Index(None, "directory_user_id", "started_at"),
    Index(None, "channel_id", "started_at"),
    Index(None, "unique_id"),
    Index(None, "linked_id"),
)

web_users = Table(
    "web_users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("username_folded", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("everything", Boolean, nullable=False),
    Column("disabled_at", BigInteger),
    Column("password_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

web_user_reach = Table(
    "web_user_reach",
    metadata,
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("site_id", Text, ForeignKey("sites.id")),
    Column("group_id", Text, ForeignKey("groups.id")),
    Index(None, "web_user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("web_user_id", Text, ForeignKey("web_users.id"), nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
)

signals = Table(
    "signals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("directory_user_id", Text, ForeignKey("directory_users.id")),
    Column("channel_id", Text, ForeignKey("channels.id")),
    Column("call_id", Text),
    Column("datasource", Text),
    Column("unique_id", Text),
    Column("linked_id", Text),
    Column("at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("mute", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_key", Text, unique=True),
    Column("web_user_id", Text, ForeignKey("web_users.id")),
    Column("settled", Text),
    Column("settled_at", BigInteger),
    Column("settled_by", Text),
    Column("settled_reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "directory_user_id", "at"),
    Index(None, "channel_id", "at"),
    Index(None, "call_id"),
    Index(None, "unique_id"),
    Index(None, "linked_id"),
    Index(None, "at", "id"),
    CheckConstraint("source IN ('web', 'switch', 'person')", name="source_known"),
    CheckConstraint("settled IN ('accepted', 'completed', 'dismissed')", name="settled_known"),
)

spans = Table(
    "spans",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recording_id", Text, ForeignKey("recordings.id"), nullable=False),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double),
    Column("channel", Text),
    Column("source", Text, nullable=False),
    Column("reason", Text),
    Column("actor", Text),
    Column("state", Text, nullable=False),
    Column("signal_on_id", Text, ForeignKey("signals.id")),
    Column("signal_off_id", Text, ForeignKey("signals.id")),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger),
    Column("changed_by", Text),
    Column("change_reason", Text),
    Index(None, "recording_id", "state"),
    Index(None, "signal_on_id"),
    Index(None, "signal_off_id"),
    CheckConstraint("state IN ('active', 'proposed', 'removed')", name="state_known"),
)

burn_ins = Table(
    "burn_ins",
    metadata,
    Column("recording_id", Text, ForeignKey("recordings.id"), primary_key=True),
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("approved_by", Text),
    Column("mask_revision", Integer, nullable=False),
    Column("old_store_id", Text, nullable=False),
    Column("old_key", Text, nullable=False),
    Column("new_key", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    Index(None, "state"),
    CheckConstraint("state IN ('asked', 'writing', 'swapped', 'done')", name="state_known"),
)

holds = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recording_id", Text, ForeignKey("recordings.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("released_by", Text),
    Column("released_at", BigInteger),
    Column("release_reason", Text),
    Index(None, "recording_id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("web_user_id", Text, ForeignKey("web_users.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("address", Text),
    Index(None, "object_id"),
    sqlite_autoincrement=True,
)

changes = Table(
    "changes",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("call_id", Text),
    Column("recording_id", Text),
    sqlite_autoincrement=True,
)

used_tokens = Table(
    "used_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)
