"""The first schema.

Written out, not imported from ``schema.py``: what a released migration does must never change. A
test holds the two against each other.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

VIEW = (
    "CREATE VIEW calls AS "
    "SELECT c.datasource, c.voicelocation, c.voicefilename, c.id, c.recording_id, "
    "{instant} AS started_at, c.duration_s, c.direction, c.from_number, "
    "c.to_number, c.extension, c.channel, c.disposition, s.name AS site "
    "FROM call_records AS c JOIN sites AS s ON s.id = c.site_id"
)
INSTANT = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%fZ', c.started_at / 1000.0, 'unixepoch')",
    "postgresql": "to_char(to_timestamp(c.started_at / 1000.0) AT TIME ZONE 'UTC',"
    ' \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')',
}
# A role is the cluster's, not the database's: it may be there already, made by another database at
# this very moment, and this user may not be allowed to make it. None of that fails a migration.
READER = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'callreel_read') THEN
        BEGIN
            CREATE ROLE callreel_read NOLOGIN;
        EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callreel_read') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %%I TO callreel_read', current_schema());
        GRANT SELECT ON calls TO callreel_read;
    END IF;
END $$
"""


def upgrade() -> None:
    """Make every table, the view for integrators and, on PostgreSQL, their role."""
    op.create_table(
        "audit",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_object_id"), "audit", ["object_id"], unique=False)
    op.create_table(
        "changes",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("recording_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sites",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("default_voicelocation", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("pad_s", sa.Double(), nullable=False),
        sa.Column("max_span_s", sa.Double(), nullable=True),
        sa.Column("settle_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
    )
    op.create_table(
        "stores",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stores")),
    )
    op.create_table(
        "used_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_used_tokens")),
    )
    op.create_table(
        "web_users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_folded", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("everything", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("password_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_users")),
        sa.UniqueConstraint("username_folded", name=op.f("uq_web_users_username_folded")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("web_user_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["web_user_id"], ["web_users.id"], name=op.f("fk_api_keys_web_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_channels_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_channels_site_id_name")),
    )
    op.create_index(op.f("ix_channels_name"), "channels", ["name"], unique=False)
    op.create_table(
        "datasources",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_datasources_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasources")),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_groups_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_groups_site_id_name")),
    )
    op.create_table(
        "voicelocations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("echo_url", sa.Text(), nullable=True),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store_id"], ["stores.id"], name=op.f("fk_voicelocations_store_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voicelocations")),
    )
    op.create_table(
        "directory_users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("extension", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_directory_users_group_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_directory_users_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_users")),
        sa.UniqueConstraint(
            "site_id", "extension", name=op.f("uq_directory_users_site_id_extension")
        ),
    )
    op.create_index(
        op.f("ix_directory_users_extension"), "directory_users", ["extension"], unique=False
    )
    op.create_index(
        op.f("ix_directory_users_group_id"), "directory_users", ["group_id"], unique=False
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("datasource", sa.Text(), nullable=False),
        sa.Column("voicelocation", sa.Text(), nullable=False),
        sa.Column("voicefilename", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("codec", sa.Text(), nullable=True),
        sa.Column("container", sa.Text(), nullable=True),
        sa.Column("rate_hz", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("frames", sa.BigInteger(), nullable=True),
        sa.Column("data_offset", sa.BigInteger(), nullable=True),
        sa.Column("data_size", sa.BigInteger(), nullable=True),
        sa.Column("block_align", sa.Integer(), nullable=True),
        sa.Column("memory_frames", sa.Integer(), nullable=True),
        sa.Column("repaired", sa.Text(), nullable=True),
        sa.Column("agent_channel", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ready_at", sa.BigInteger(), nullable=False),
        sa.Column("mask_revision", sa.Integer(), nullable=False),
        sa.Column("mask_seal", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('ready', 'unplayable', 'deleted')", name=op.f("ck_recordings_state_known")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["stores.id"], name=op.f("fk_recordings_store_id")),
        sa.ForeignKeyConstraint(
            ["voicelocation"], ["voicelocations.id"], name=op.f("fk_recordings_voicelocation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
        sa.UniqueConstraint(
            "datasource",
            "voicelocation",
            "voicefilename",
            name=op.f("uq_recordings_datasource_voicelocation_voicefilename"),
        ),
    )
    op.create_index(op.f("ix_recordings_sha256"), "recordings", ["sha256"], unique=False)
    op.create_table(
        "web_user_reach",
        sa.Column("web_user_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=True),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_web_user_reach_group_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_web_user_reach_site_id")),
        sa.ForeignKeyConstraint(
            ["web_user_id"], ["web_users.id"], name=op.f("fk_web_user_reach_web_user_id")
        ),
    )
    op.create_index(
        op.f("ix_web_user_reach_web_user_id"), "web_user_reach", ["web_user_id"], unique=False
    )
    op.create_table(
        "call_records",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("datasource", sa.Text(), nullable=False),
        sa.Column("voicelocation", sa.Text(), nullable=True),
        sa.Column("voicefilename", sa.Text(), nullable=True),
        sa.Column("recording_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("directory_user_id", sa.Text(), nullable=True),
        sa.Column("channel_id", sa.Text(), nullable=True),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("linked_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_call_records_channel_id")
        ),
        sa.ForeignKeyConstraint(
            ["datasource"], ["datasources.id"], name=op.f("fk_call_records_datasource")
        ),
        sa.ForeignKeyConstraint(
            ["directory_user_id"],
            ["directory_users.id"],
            name=op.f("fk_call_records_directory_user_id"),
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_call_records_recording_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_call_records_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_records")),
    )
    op.create_index(
        op.f("ix_call_records_channel_id_started_at"),
        "call_records",
        ["channel_id", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_call_records_directory_user_id_started_at"),
        "call_records",
        ["directory_user_id", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_call_records_extension_started_at_id"),
        "call_records",
        ["extension", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_call_records_from_number_started_at_id"),
        "call_records",
        ["from_number", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_call_records_recording_id"), "call_records", ["recording_id"], unique=False
    )
    op.create_index(
        op.f("ix_call_records_site_id_started_at_id"),
        "call_records",
        ["site_id", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_call_records_started_at_id"), "call_records", ["started_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_call_records_to_number_started_at_id"),
        "call_records",
        ["to_number", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_call_records_voicefilename_voicelocation_datasource"),
        "call_records",
        ["voicefilename", "voicelocation", "datasource"],
        unique=False,
    )
    op.create_table(
        "signals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("directory_user_id", sa.Text(), nullable=True),
        sa.Column("channel_id", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("mute", sa.Boolean(), nullable=False),
        sa.Column("web_user_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_signals_channel_id")
        ),
        sa.ForeignKeyConstraint(
            ["directory_user_id"], ["directory_users.id"], name=op.f("fk_signals_directory_user_id")
        ),
        sa.ForeignKeyConstraint(
            ["web_user_id"], ["web_users.id"], name=op.f("fk_signals_web_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
    )
    op.create_index(op.f("ix_signals_channel_id_at"), "signals", ["channel_id", "at"], unique=False)
    op.create_index(
        op.f("ix_signals_directory_user_id_at"),
        "signals",
        ["directory_user_id", "at"],
        unique=False,
    )
    op.create_table(
        "spans",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("signal_on_id", sa.Text(), nullable=True),
        sa.Column("signal_off_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'removed')", name=op.f("ck_spans_state_known")),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_spans_recording_id")
        ),
        sa.ForeignKeyConstraint(
            ["signal_off_id"], ["signals.id"], name=op.f("fk_spans_signal_off_id")
        ),
        sa.ForeignKeyConstraint(
            ["signal_on_id"], ["signals.id"], name=op.f("fk_spans_signal_on_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spans")),
    )
    op.create_index(
        op.f("ix_spans_recording_id_state"), "spans", ["recording_id", "state"], unique=False
    )
    dialect = op.get_bind().dialect.name
    # exec_driver_sql: the colons are no parameters. psycopg reads %% as one percent sign.
    op.get_bind().exec_driver_sql(VIEW.format(instant=INSTANT[dialect]))
    if dialect == "postgresql":
        op.get_bind().exec_driver_sql(READER)
