"""Calls counted as they are written, names of callers, and rare calls found by an index.

Written out, not imported from ``schema.py``: what a released migration does must never change.
"""
# ruff: noqa: INP001, S608  # Alembic runs it by its path; all of its SQL is written here

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KEY = "site_id, quarter, direction, disposition"
_COLUMNS = (*_KEY.split(", "), "calls", "talk_ms")
_CHANGES = "site_id, started_at, direction, disposition, duration_s, answered_at"


def _tally(of: str, larger: str, sign: str = "") -> tuple[str, ...]:
    """What one call counts, in the order of the columns."""
    talk = (
        f"{larger}(0, CAST(ROUND({of}duration_s * 1000) AS BIGINT)"
        f" - COALESCE({of}answered_at - {of}started_at, 0))"
    )
    never = f"{of}disposition IN ('abandoned', 'busy', 'failed')"
    return (
        f"{of}site_id",
        f"{of}started_at / 900000",
        f"{of}direction",
        f"{of}disposition",
        f"{sign}1",
        f"{sign}(CASE WHEN {never} THEN 0 ELSE {talk} END)",
    )


def _add(tally: tuple[str, ...]) -> str:
    return (
        f"INSERT INTO call_tallies ({', '.join(_COLUMNS)}) VALUES ({', '.join(tally)})"
        f" ON CONFLICT ({_KEY}) DO UPDATE SET calls = call_tallies.calls + excluded.calls,"
        " talk_ms = call_tallies.talk_ms + excluded.talk_ms;"
    )


def upgrade() -> None:
    """Add the tables with what is there already, what keeps them, and four indexes."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    larger = "GREATEST" if postgresql else "MAX"
    op.create_table(
        "call_tallies",
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("quarter", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("talk_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_call_tallies_site_id"),
        sa.PrimaryKeyConstraint(
            "site_id", "quarter", "direction", "disposition", name="pk_call_tallies"
        ),
    )
    op.create_index("ix_call_tallies_quarter", "call_tallies", ["quarter"])
    named = ", ".join(
        f"{value} AS {name}" for name, value in zip(_COLUMNS, _tally("", larger), strict=True)
    )
    op.execute(
        f"INSERT INTO call_tallies ({', '.join(_COLUMNS)}) SELECT {_KEY}, SUM(calls), SUM(talk_ms)"
        f" FROM (SELECT {named} FROM call_records) AS told GROUP BY {_KEY}"
    )
    added, removed = _add(_tally("NEW.", larger)), _add(_tally("OLD.", larger, "-"))
    if postgresql:
        op.execute(
            "CREATE FUNCTION callreel_tally() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP <> 'INSERT' THEN {removed} END IF;"
            f" IF TG_OP <> 'DELETE' THEN {added} END IF;"
            " RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER call_tallies_kept AFTER INSERT OR DELETE OR UPDATE OF"
            f" {_CHANGES} ON call_records FOR EACH ROW EXECUTE FUNCTION callreel_tally()"
        )
    else:
        for name, event, body in (
            ("added", "INSERT", added),
            ("removed", "DELETE", removed),
            ("changed", f"UPDATE OF {_CHANGES}", removed + " " + added),
        ):
            op.execute(
                f"CREATE TRIGGER call_tallies_{name} AFTER {event} ON call_records BEGIN {body} END"
            )
    op.create_table(
        "caller_names",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_caller_names"),
    )
    op.execute(
        "INSERT INTO caller_names (name)"
        " SELECT DISTINCT caller_name FROM call_records WHERE caller_name <> ''"
    )
    named = (
        "INSERT INTO caller_names (name) VALUES (NEW.caller_name) ON CONFLICT (name) DO NOTHING;"
    )
    if postgresql:
        op.execute(
            "CREATE FUNCTION callreel_name() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {named} RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER caller_names_kept AFTER INSERT OR UPDATE OF caller_name"
            " ON call_records FOR EACH ROW WHEN (NEW.caller_name <> '')"
            " EXECUTE FUNCTION callreel_name()"
        )
    else:
        for name, event in (("added", "INSERT"), ("changed", "UPDATE OF caller_name")):
            op.execute(
                f"CREATE TRIGGER caller_names_{name} AFTER {event} ON call_records"
                f" WHEN NEW.caller_name <> '' BEGIN {named} END"
            )
    op.create_index("ix_call_records_duration_s_id", "call_records", ["duration_s", "id"])
    for column in ("caller_name", "direction", "disposition"):
        op.create_index(
            f"ix_call_records_{column}_started_at_id",
            "call_records",
            [column, "started_at", "id"],
        )
