"""Filter and Scope to one bound query, newest first, with keyset paging.

A cursor is the place of the last row that was seen, so that pages neither miss nor repeat a call
however many come in meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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
    union,
)

from callreel.db import cursor as place
from callreel.db.call_filter import CallFilter
from callreel.db.narrow import IN_TIME, Found, found_by
from callreel.db.rows import calls_of_rows, select_calls
from callreel.db.schema import call_records
from callreel.model import Call, Scope


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
    c = call_records.c
    key, falling = _ORDERS[order]
    column = c[key]
    where = list(found.where)
    if cursor is not None:
        at, call_id = place.read(cursor)
        last: ColumnElement[object] = literal(at)
        if key != "started_at":
            # A place holds whole numbers; of anything else the row of the last call tells.
            last = select(column).where(c.id == call_id).scalar_subquery()
        beyond = column < last if falling else column > last
        after = c.id < call_id if falling else c.id > call_id
        # The first says nothing that the second does not, but leads straight to the place.
        bound = column <= last if falling else column >= last
        where += [bound, or_(beyond, and_(column == last, after))]
    ends = (column.desc(), c.id.desc()) if falling else (column, c.id)
    if found.sides:
        sides = (
            select(c.id).where(*where, side).order_by(*ends).limit(limit + 1).subquery()
            for side in found.sides
        )
        where = [c.id.in_(union(*(select(side.c.id) for side in sides)))]
    rows = conn.execute(query.where(*where).order_by(*ends).limit(limit + 1)).mappings().all()
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], place.make(last_row["started_at"], last_row["id"])


def count_calls(conn: Connection, scope: Scope, wanted: CallFilter) -> int:
    """How many calls a filter finds now.

    Cost: reads every one of them, from an index where times and extensions say it all.
    """
    query = select(func.count()).select_from(call_records)
    return conn.execute(query.where(*found_by(conn, scope, wanted).where)).scalar_one()
