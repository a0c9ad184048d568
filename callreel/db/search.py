"""Filter and Scope to one bound query, newest first, with keyset paging.

A cursor is the place of the last row that was seen, so that pages neither miss nor repeat a call
however many come in meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    true,
    union,
)

from callreel.db import cursor as place
from callreel.db.call_filter import CallFilter
from callreel.db.narrow import IN_TIME, Found, found_by, unindexed
from callreel.db.rows import calls_of_rows, select_calls
from callreel.db.schema import call_records
from callreel.model import Call, Scope

NEAR = 2_000
"""Calls that are read in the hope that they fill a page."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """A stretch of a list."""

    items: tuple[Call, ...]
    next: str | None
    """The cursor of the next page; None at the end."""


class Order(StrEnum):
    """How a list is sorted; each has an index or reads what the filter leaves."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LONGEST = "longest"
    SHORTEST = "shortest"


_ORDERS = {
    Order.NEWEST: ("started_at", True),
    Order.OLDEST: ("started_at", False),
    Order.LONGEST: ("duration_s", True),
    Order.SHORTEST: ("duration_s", False),
}


def search_calls(
    conn: Connection, scope: Scope, wanted: CallFilter, limit: int, cursor: str | None
) -> CallPage:
    """A page of calls, newest first.

    Args:
        conn: A read transaction.
        scope: Only calls within it.
        wanted: The filter.
        limit: How many at the most, 1 or more.
        cursor: ``next`` of the page before; None for the first.

    Raises:
        BadRequest: The cursor is not one of ours.

    Cost: one query for the rows and one for their spans, whatever the page.
    """
    found = found_by(conn, scope, wanted, IN_TIME)
    rows, following = page_of(conn, select_calls(), found, limit, cursor)
    return CallPage(calls_of_rows(conn, rows), following)


def page_of(
    conn: Connection,
    query: Select[tuple[object, ...]],
    found: Found,
    limit: int,
    cursor: str | None,
    order: Order = Order.NEWEST,
) -> tuple[Sequence[RowMapping], str | None]:
    """The rows of a page of calls, and the cursor of the next page; None at the end.

    Args:
        conn: A read transaction.
        query: What is read of each call.
        found: Which calls.
        limit: How many at the most, 1 or more.
        cursor: ``next`` of the page before; None for the first.
        order: Its sides, where it has some, are in the order of time.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    line = _Line(*_ORDERS[order], None if cursor is None else place.read(cursor))
    if found.apart is None:
        rows = _read(conn, query, found.where, found.sides, line, limit)
    else:
        # Where the filter finds much after all, the next calls of all fill a page sooner.
        near = [*found.where, line.near(conn, NEAR)]
        rows = _read(conn, query, near, (), line, limit)
        if len(rows) <= limit:
            apart = replace(line, is_indexed=False)
            rows = _read(conn, query, found.apart, found.sides, apart, limit)
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], place.make(last_row["started_at"], last_row["id"])


@dataclass(frozen=True, slots=True)
class _Line:
    """Calls in an order, behind a place."""

    key: str
    falling: bool
    place: tuple[int, str] | None
    """Time and id of the last call that was seen."""
    is_indexed: bool = True
    """Whether an index may be read along it."""

    @property
    def column(self) -> ColumnElement[Any]:
        """What it is sorted by first."""
        column = call_records.c[self.key]
        return column if self.is_indexed else unindexed(column)

    @property
    def ends(self) -> tuple[ColumnElement[Any], ...]:
        """What it is sorted by."""
        column, call_id = self.column, call_records.c.id
        return (column.desc(), call_id.desc()) if self.falling else (column, call_id)

    def behind(self) -> list[ColumnElement[bool]]:
        """What holds for calls behind the place."""
        if self.place is None:
            return []
        column, c = self.column, call_records.c
        at, call_id = self.place
        last: ColumnElement[object] = literal(at)
        if self.key != "started_at":
            # A place holds whole numbers; of anything else the row of the last call tells.
            last = select(c[self.key]).where(c.id == call_id).scalar_subquery()
        beyond = column < last if self.falling else column > last
        after = c.id < call_id if self.falling else c.id > call_id
        # The first says nothing that the second does not, but leads straight to the place.
        bound = column <= last if self.falling else column >= last
        return [bound, or_(beyond, and_(column == last, after))]

    def near(self, conn: Connection, count: int) -> ColumnElement[bool]:
        """What holds for so many calls, about, right behind the place; for all, if they are less.

        Whatever holds for a call holds for all between it and the place.
        """
        edge = select(self.column).where(*self.behind()).order_by(*self.ends)
        last = conn.execute(edge.offset(count).limit(1)).scalar()
        if last is None:
            return true()
        column = self.column
        nearer: ColumnElement[bool] = column >= last if self.falling else column <= last
        return nearer


def _read(
    conn: Connection,
    query: Select[tuple[object, ...]],
    where: list[ColumnElement[bool]],
    sides: Sequence[ColumnElement[bool]],
    line: _Line,
    limit: int,
) -> Sequence[RowMapping]:
    """The next calls of a line, and one more."""
    call_id, where = call_records.c.id, [*where, *line.behind()]
    if sides:
        each = (
            select(call_id).where(*where, side).order_by(*line.ends).limit(limit + 1).subquery()
            for side in sides
        )
        where = [call_id.in_(union(*(select(side.c.id) for side in each)))]
    asked = query.where(*where).order_by(*line.ends).limit(limit + 1)
    return conn.execute(asked).mappings().all()


def count_calls(conn: Connection, scope: Scope, wanted: CallFilter) -> int:
    """How many calls a filter finds now.

    Cost: reads every one of them, from an index where times and extensions say it all.
    """
    query = select(func.count()).select_from(call_records)
    return conn.execute(query.where(*found_by(conn, scope, wanted).where)).scalar_one()
