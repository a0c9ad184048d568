"""Masked calls for reports, with the stretches that are masked in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection

from callreel.db.reports import Chosen, conditions_of
from callreel.db.rows import calls_of_rows, select_calls
from callreel.db.schema import call_records
from callreel.model import Call

_PAGE = 500


def masked_calls(conn: Connection, chosen: Chosen) -> Iterator[Call]:
    """Calls of a report in which something is masked, oldest first.

    Cost: a page of calls at a time, and one query for the spans of each.
    """
    return _calls(conn, replace(chosen, wanted=replace(chosen.wanted, mask=True)))


def proposed_calls(conn: Connection, chosen: Chosen) -> Iterator[Call]:
    """Calls of a report in which something is proposed to be masked, oldest first.

    Cost: as ``masked_calls``.
    """
    return _calls(conn, replace(chosen, wanted=replace(chosen.wanted, proposed=True)))


def _calls(conn: Connection, chosen: Chosen) -> Iterator[Call]:
    query = (
        select_calls()
        .where(*conditions_of(chosen))
        .order_by(call_records.c.started_at, call_records.c.id)
        .execution_options(yield_per=_PAGE)
    )
    for page in conn.execute(query).mappings().partitions():
        yield from calls_of_rows(conn, list(page))
