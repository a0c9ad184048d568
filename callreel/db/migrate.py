"""Bring a database to this version's schema, or say why it can't be used. Alembic does the work."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import ProgrammingError

import callreel.db.job_tables
import callreel.db.people_schema
import callreel.db.tally_tables  # noqa: F401  # their tables belong to the metadata
from callreel.db.schema import metadata
from callreel.errors import ConfigurationError, DatabaseNewer

SCRIPTS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def upgrade(conn: Connection, to: str = "head") -> None:
    """Run every migration that is missing, inside the caller's transaction.

    Args:
        conn: A write transaction.
        to: The revision to stop at; tests begin at an older one.

    Raises:
        DatabaseNewer: The database names a revision that this version does not know.
        ConfigurationError: It holds tables of another program under names of ours.
    """
    if _require_known(conn) is None:
        taken = set(inspect(conn).get_table_names()) & set(metadata.tables)
        if taken:
            raise ConfigurationError(
                f"database.url: this database has a table {min(taken)!r} that Callreel did not "
                "make; give it a database of its own."
            )
    config = _config()
    config.attributes["connection"] = conn
    command.upgrade(config, to)


def require_current(conn: Connection) -> None:
    """Refuse a database that is not at this version's schema.

    Raises:
        DatabaseNewer: A newer Callreel wrote it.
        ConfigurationError: It is older, or empty.
    """
    found = _require_known(conn)
    if found != ScriptDirectory.from_config(_config()).get_current_head():
        raise ConfigurationError(
            "The database has an older schema (or none); "
            "run 'callreel migrate' with this data folder."
        )


def _require_known(conn: Connection) -> str | None:
    found = MigrationContext.configure(conn).get_current_revision()
    known = {
        revision.revision for revision in ScriptDirectory.from_config(_config()).walk_revisions()
    }
    if found is not None and found not in known:
        raise DatabaseNewer(
            f"The database has schema {found}, which a newer Callreel wrote; run that version, "
            "or restore the backup taken before the upgrade."
        )
    return found


READER = "callreel_read"
"""The role of PostgreSQL that integrators are given. Source: contract.md section 5."""


def grant_reader(conn: Connection) -> bool:
    """On PostgreSQL, make the role of integrators or let it read ``calls``; False where neither.

    Done at every migration: who owns one database may often not make roles, and is given this one
    by somebody else later.
    """
    there = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if conn.execute(there, {"name": READER}).first() is None:
        return False
    schema = conn.dialect.identifier_preparer.quote(
        conn.execute(text("SELECT current_schema()")).scalar_one()
    )
    try:
        with conn.begin_nested():
            conn.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {READER}"))
            conn.execute(text(f"GRANT SELECT ON calls TO {READER}"))
    except ProgrammingError:
        return False
    return True
