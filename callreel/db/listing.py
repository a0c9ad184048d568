"""Calls as people look at them: with names, group, how they ended, and what hangs on them.

The list of Call View and the call page are made of these; programs get ``model.Call``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, Select, func, select

from callreel.db import notes
from callreel.db.call_filter import CallFilter, conditions
from callreel.db.narrow import IN_LENGTH, IN_TIME, found_by
from callreel.db.rows import calls_of_rows, in_scope, select_calls
from callreel.db.schema import call_records, directory_users, groups, recordings, sites
from callreel.db.search import Order, page_of
from callreel.model import Call, CallId, Disposition, RecordingState, Scope, UnixMillis


@dataclass(frozen=True, slots=True)
class ViewedCall:
    """One call and what is known around it."""

    call: Call
    site_name: str
    timezone: str
    """Of the site."""
    agent_name: str | None
    """Of the extension, as the directory has it."""
    group_name: str | None
    caller_name: str
    """As the network told it; text of anybody."""
    disposition: Disposition
    call_s: float
    """Length of the call, ringing included."""
    rang_s: float | None
    """Until somebody answered, or it was given up; None where no record told."""
    recording_state: RecordingState | None
    recording_reason: str | None
    mask_revision: int | None
    ready_at: UnixMillis | None
    linked: bool
    """The switch knows other legs of the same conversation, within sight."""
    notes: int
    linked_id: str | None
    unique_id: str | None
    recording_s: float | None = None
    """Length of the recording, which legs of one conversation may share; None where there is none,
    or nobody could read it."""
    deleted_at: UnixMillis | None = None
    """When retention deleted the recording; None where it is kept."""

    @property
    def talk_s(self) -> float | None:
        """How long was talked; None where nobody answered."""
        if self.disposition in _NEVER_TALKED:
            return None
        # Not of the recording, which the legs of a transfer share.
        return max(0.0, self.call_s - (self.rang_s or 0.0))


_NEVER_TALKED = frozenset({Disposition.ABANDONED, Disposition.BUSY, Disposition.FAILED})


@dataclass(frozen=True, slots=True)
class ViewedPage:
    """A stretch of the list."""

    items: tuple[ViewedCall, ...]
    next: str | None


def page(
    conn: Connection,
    scope: Scope,
    wanted: CallFilter,
    order: Order,
    limit: int,
    cursor: str | None,
) -> ViewedPage:
    """A page of calls; as ``search_calls``, in the order that is wanted.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    along = IN_TIME if order in {Order.NEWEST, Order.OLDEST} else IN_LENGTH
    found = found_by(conn, scope, wanted, along)
    rows, following = page_of(conn, _select(), found, limit, cursor, order)
    return ViewedPage(_viewed(conn, scope, rows), following)


def some(
    conn: Connection, scope: Scope, wanted: CallFilter, call_ids: Sequence[str]
) -> tuple[ViewedCall, ...]:
    """Those of some calls that a filter finds, oldest first."""
    query = _select().where(call_records.c.id.in_(call_ids), in_scope(scope), *conditions(wanted))
    ordered = query.order_by(call_records.c.started_at, call_records.c.id)
    return _viewed(conn, scope, conn.execute(ordered).mappings().all())


def one(conn: Connection, scope: Scope, call_id: CallId) -> ViewedCall | None:
    """One call."""
    return next(iter(some(conn, scope, CallFilter(), [call_id])), None)


def legs(conn: Connection, scope: Scope, viewed: ViewedCall) -> tuple[ViewedCall, ...]:
    """The other legs of the same conversation within sight, oldest first."""
    c = call_records.c
    if viewed.linked_id is None:
        return ()
    query = _select().where(
        c.linked_id == viewed.linked_id,
        c.datasource == viewed.call.datasource,
        c.id != viewed.call.id,
        in_scope(scope),
    )
    rows = conn.execute(query.order_by(c.started_at, c.id).limit(_MOST_LEGS)).mappings().all()
    return _viewed(conn, scope, rows)


_MOST_LEGS = 50


def _select() -> Select[tuple[object, ...]]:
    u, g, r = directory_users.c, groups.c, recordings.c
    wanted = select_calls().add_columns(
        sites.c.name.label("site_name"),
        sites.c.timezone.label("timezone"),
        u.name.label("agent_name"),
        g.name.label("group_name"),
        r.state.label("recording_state"),
        r.reason.label("recording_reason"),
        r.mask_revision.label("mask_revision"),
        r.ready_at.label("ready_at"),
        r.deleted_at.label("deleted_at"),
    )
    return (
        # Outer, though every call has a site: nobody shall begin with the sites.
        wanted.outerjoin(sites, sites.c.id == call_records.c.site_id)
        .outerjoin(directory_users, u.id == call_records.c.directory_user_id)
        .outerjoin(groups, g.id == u.group_id)
    )


def _viewed(conn: Connection, scope: Scope, rows: Sequence[RowMapping]) -> tuple[ViewedCall, ...]:
    noted = notes.counts(conn, [row["id"] for row in rows])
    linked = _linked(conn, scope, {row["linked_id"] for row in rows if row["linked_id"]})
    return tuple(
        ViewedCall(
            call=call,
            site_name=m["site_name"],
            timezone=m["timezone"],
            agent_name=m["agent_name"],
            group_name=m["group_name"],
            caller_name=m["caller_name"],
            disposition=Disposition(m["disposition"]),
            call_s=m["duration_s"],
            rang_s=_rang_s(m),
            recording_state=RecordingState(m["recording_state"]) if m["recording_state"] else None,
            recording_reason=m["recording_reason"],
            mask_revision=m["mask_revision"],
            ready_at=None if m["ready_at"] is None else UnixMillis(m["ready_at"]),
            linked=(m["datasource"], m["linked_id"]) in linked,
            notes=noted.get(m["id"], 0),
            linked_id=m["linked_id"],
            unique_id=m["unique_id"],
            recording_s=None if m["frames"] is None else m["frames"] / m["rate_hz"],
            deleted_at=None if m["deleted_at"] is None else UnixMillis(m["deleted_at"]),
        )
        for call, m in zip(calls_of_rows(conn, rows), rows, strict=True)
    )


def _rang_s(m: RowMapping) -> float | None:
    if m["answered_at"] is not None:
        return max(0.0, float(m["answered_at"] - m["started_at"]) / 1000)
    if Disposition(m["disposition"]) in _NEVER_TALKED:
        return float(m["duration_s"])
    return None


def _linked(conn: Connection, scope: Scope, linked_ids: set[str]) -> set[tuple[str, str]]:
    """Which conversations have more legs than one within sight."""
    c = call_records.c
    rows = conn.execute(
        select(c.datasource, c.linked_id)
        .where(c.linked_id.in_(sorted(linked_ids)), in_scope(scope))
        .group_by(c.datasource, c.linked_id)
        .having(func.count() > 1)
    )
    return {(row.datasource, row.linked_id) for row in rows}
