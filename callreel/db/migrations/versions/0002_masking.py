"""Masking that can be proved: signals of a switch, spans by hand, fills, holds, burn-in.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001  # Alembic runs it by its path; it is in no package

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new; spans refer to signals, so both are put aside while they are made anew."""
    op.execute("CREATE TABLE spans_kept AS SELECT * FROM spans")
    op.drop_table("spans")
    op.execute("CREATE TABLE signals_kept AS SELECT * FROM signals")
    op.drop_table("signals")
    _signals()
    _spans()
    _sites()
    op.add_column("recordings", sa.Column("burned_at", sa.BigInteger(), nullable=True))
    op.add_column("recordings", sa.Column("burned_revision", sa.Integer(), nullable=True))
    op.add_column("recordings", sa.Column("source_commitment", sa.Text(), nullable=True))
    for name in ("object_key", "source_commitment"):
        op.create_index(op.f(f"ix_recordings_{name}"), "recordings", [name])
    _burn_ins()
    _holds()
    op.create_table(
        "idempotency_keys",
        sa.Column("web_user_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["web_user_id"], ["web_users.id"], name=op.f("fk_idempotency_keys_web_user_id")
        ),
        sa.PrimaryKeyConstraint("web_user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])


def _signals() -> None:
    op.create_table(
        "signals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("directory_user_id", sa.Text(), nullable=True),
        sa.Column("channel_id", sa.Text(), nullable=True),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("mute", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=True),
        sa.Column("web_user_id", sa.Text(), nullable=True),
        sa.Column("settled", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "source IN ('web', 'switch', 'person')", name=op.f("ck_signals_source_known")
        ),
        sa.CheckConstraint(
            "settled IN ('accepted', 'completed', 'dismissed')",
            name=op.f("ck_signals_settled_known"),
        ),
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
        sa.UniqueConstraint("source_key", name=op.f("uq_signals_source_key")),
    )
    op.execute(
        "INSERT INTO signals (id, directory_user_id, channel_id, at, received_at, mute, source,"
        " web_user_id, created_at) SELECT id, directory_user_id, channel_id, at, received_at,"
        " mute, 'web', web_user_id, created_at FROM signals_kept"
    )
    op.drop_table("signals_kept")
    op.create_index(op.f("ix_signals_channel_id_at"), "signals", ["channel_id", "at"])
    op.create_index(op.f("ix_signals_directory_user_id_at"), "signals", ["directory_user_id", "at"])
    op.create_index(op.f("ix_signals_call_id"), "signals", ["call_id"])
    op.create_index(op.f("ix_signals_at_id"), "signals", ["at", "id"])


def _spans() -> None:
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
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("change_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'proposed', 'removed')", name=op.f("ck_spans_state_known")
        ),
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
    op.execute(
        "INSERT INTO spans (id, recording_id, start_s, end_s, channel, source, reason, actor,"
        " state, signal_on_id, signal_off_id, created_at) SELECT id, recording_id, start_s, end_s,"
        " channel, source, reason, actor, state, signal_on_id, signal_off_id, created_at"
        " FROM spans_kept"
    )
    op.drop_table("spans_kept")
    op.create_index(op.f("ix_spans_recording_id_state"), "spans", ["recording_id", "state"])
    op.create_index(op.f("ix_spans_signal_on_id"), "spans", ["signal_on_id"])
    op.create_index(op.f("ix_spans_signal_off_id"), "spans", ["signal_off_id"])


def _sites() -> None:
    def number(name: str, default: str) -> sa.Column[float]:
        return sa.Column(name, sa.Double(), nullable=False, server_default=default)

    for column in (
        sa.Column("fill_kind", sa.Text(), nullable=False, server_default="tone"),
        number("fill_hz", "1000"),
        number("fill_dbfs", "-20"),
        sa.Column("fill_samples", sa.LargeBinary(), nullable=True),
        sa.Column("fill_rate_hz", sa.Integer(), nullable=True),
        sa.Column("burn_in_after_s", sa.Double(), nullable=True),
        sa.Column("key_presses", sa.Text(), nullable=False, server_default="list"),
    ):
        op.add_column("sites", column)


def _burn_ins() -> None:
    op.create_table(
        "burn_ins",
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("mask_revision", sa.Integer(), nullable=False),
        sa.Column("old_store_id", sa.Text(), nullable=False),
        sa.Column("old_key", sa.Text(), nullable=False),
        sa.Column("new_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('asked', 'writing', 'swapped', 'done')", name=op.f("ck_burn_ins_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_burn_ins_recording_id")
        ),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_burn_ins")),
    )
    op.create_index(op.f("ix_burn_ins_state"), "burn_ins", ["state"])


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_holds_recording_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_recording_id"), "holds", ["recording_id"])
