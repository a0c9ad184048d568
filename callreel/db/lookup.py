"""Queries that are asked for every second of sound: compiled once, run by the driver itself.

SQLAlchemy takes 250 µs to look up a number by its key, the driver 5.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Select

Row = Mapping[Any, Any]
"""A row by the names of its columns, as the driver gives it: SQLite has no booleans."""
Lookup = Callable[..., Sequence[Row]]
"""Given the parameters of its query by name, all rows; each statement is from a moment of its own.

Raises: as ``Database.read``.
"""


class Lookups:
    """Makes look-ups for one kind of database.

    Args:
        engine: Where connections come from.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # No transaction around one statement: that would be two more ways to a far server.
        self._each = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._lock = threading.Lock()
        self._kept: sqlite3.Connection | None = None

    def prepared(self, query: Select[Any]) -> Lookup:
        """A query, ready to be asked; its parameters are named ``bindparam``s, not required."""
        compiled = query.compile(
            dialect=self._engine.dialect, compile_kwargs={"render_postcompile": True}
        )
        sql, fixed = str(compiled), dict(compiled.params)
        if self._engine.dialect.name != "sqlite":
            return lambda **values: self._from_server(sql, {**fixed, **values})
        order = tuple((name, fixed.get(name)) for name in compiled.positiontup or ())
        return lambda **values: self._from_file(
            sql, [values.get(name, value) for name, value in order]
        )

    def _from_file(self, sql: str, values: Sequence[object]) -> Sequence[Row]:
        # One connection for all: a look-up is over before another thread would have its own.
        with self._lock:
            if self._kept is None:
                taken = self._engine.raw_connection()
                connection = taken.driver_connection
                taken.detach()
                if not isinstance(connection, sqlite3.Connection):
                    raise AssertionError("SQLite by another driver")
                self._kept = connection
            found = self._kept.execute(sql, values)
            names = [each[0] for each in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _from_server(self, sql: str, values: dict[str, object]) -> Sequence[Row]:
        with self._each.connect() as conn:
            return conn.exec_driver_sql(sql, values).mappings().all()

    def close(self) -> None:
        """Close what is kept open."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
