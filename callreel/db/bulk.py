"""Many rows by one statement.

A statement of a table with triggers keeps what it changes for the case that it fails, page by page;
with 17 indexes that costs a row by itself more than the row. Many rows share it, and the way
through the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Table

_MOST_VALUES = 20_000
"""Of one statement; SQLite takes 32,766 and PostgreSQL 65,535."""


def insert_rows(
    conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    """Insert rows, each a tuple of values as the driver takes them, in the order of the columns."""
    at_once = _MOST_VALUES // len(columns)
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        statement = _statement(conn.dialect, table, tuple(columns), len(some))
        conn.exec_driver_sql(statement, tuple(value for row in some for value in row))


@lru_cache(maxsize=64)
def _statement(dialect: Dialect, table: Table, columns: tuple[str, ...], count: int) -> str:
    names = ", ".join(dialect.identifier_preparer.format_column(table.c[each]) for each in columns)
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    row = "(" + ", ".join([mark] * len(columns)) + ")"
    target = dialect.identifier_preparer.format_table(table)
    # Names of our schema and question marks.
    return f"INSERT INTO {target} ({names}) VALUES {', '.join([row] * count)}"  # noqa: S608
