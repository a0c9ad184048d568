"""Who listened to what. Each source of this knowledge is one function in SOURCES.

The player tells which stretches were heard. Of tokens and downloads it is known when sound began to
leave and when it ended: the audit log has a row for each.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from callreel.db.people_schema import playbacks
from callreel.db.playbacks import Stretch, of_row
from callreel.db.rows import in_scope
from callreel.db.schema import audit, call_records, web_users
from callreel.model import CallId, RecordingId, Scope, UnixMillis

LONGEST_LISTENING_MS = 86_400_000
"""The end of a listening is looked for so long after its beginning."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Somebody listened to a recording, or fetched it."""

    at: UnixMillis
    until: UnixMillis | None
    """None where no end was written down: it still goes on, or the server was stopped."""
    web_user_id: str
    recording_id: RecordingId
    what: str
    """Format and channels."""
    bytes_sent: int | None
    """None where no end was written down, and of a player."""
    address: str | None
    heard: tuple[Stretch, ...] | None = None
    """What a player told that it played; None where only bytes are known."""
    sent: tuple[Stretch, ...] | None = None
    """What left to a player; None where only bytes are known."""
    label: str | None = None
    """Whom an integrator's link was made for; None where it was the user."""


@dataclass(frozen=True, slots=True)
class HeardCall:
    """The call that a recording is of; the first leg that the reader may see."""

    id: CallId
    started_at: UnixMillis
    from_number: str
    to_number: str
    extension: str | None


@dataclass(frozen=True, slots=True)
class ListenedCall:
    """A listening with who it was, and the call."""

    listening: Listening
    username: str
    call: HeardCall


Source = Callable[[Connection, UnixMillis, UnixMillis], Iterator[Listening]]
"""Every listening that began in [since, until)."""


def _of_audit(conn: Connection, since: UnixMillis, until: UnixMillis) -> Iterator[Listening]:
    query = (
        select(audit)
        .where(
            audit.c.action.in_(["sound.start", "sound.end"]),
            audit.c.at >= since,
            audit.c.at < until + LONGEST_LISTENING_MS,
        )
        .order_by(audit.c.seq)
        .execution_options(yield_per=1000)
    )
    begun: dict[tuple[str, ...], list[Listening]] = defaultdict(list)
    for row in conn.execute(query):
        detail = json.loads(row.detail)
        if detail.get("sitting"):
            continue
        key = _answer(row, detail)
        if row.action == "sound.start":
            if row.at < until:
                begun[key].append(
                    Listening(
                        at=UnixMillis(row.at),
                        until=None,
                        web_user_id=row.actor,
                        recording_id=RecordingId(row.object_id),
                        what=f"{detail.get('door', 'token')}: {detail['format']} "
                        f"{detail['channel']}",
                        bytes_sent=None,
                        address=row.address,
                        label=detail.get("label"),
                    )
                )
        elif begun[key]:
            sent = int(detail.get("bytes_sent", 0))
            first = begun[key].pop(0)
            ended = replace(
                first, until=UnixMillis(row.at), bytes_sent=(first.bytes_sent or 0) + sent
            )
            if "answer" in detail:
                # A token that is used again has a row for each end, and one beginning.
                begun[key].append(ended)
            else:
                yield ended
    for left in begun.values():
        yield from left


def _answer(row: Row[Any], detail: Mapping[str, Any]) -> tuple[str, ...]:
    """What the rows about one answer have in common."""
    if "answer" in detail:
        return (detail["answer"],)
    # Rows from before answers had names: of several alike the one that began first ends first.
    parts = (detail.get("token_id"), detail.get("format"), detail.get("channel"), row.address)
    return (row.actor, row.object_id, *map(str, parts))


def _of_player(conn: Connection, since: UnixMillis, until: UnixMillis) -> Iterator[Listening]:
    p = playbacks.c
    query = (
        select(playbacks)
        .where(p.started_at >= since, p.started_at < until)
        .order_by(p.started_at, p.id)
        .execution_options(yield_per=1000)
    )
    for row in conn.execute(query).mappings():
        known = of_row(row)
        yield Listening(
            at=known.started_at,
            until=known.heard_at,
            web_user_id=known.web_user_id,
            recording_id=known.recording_id,
            what=_PLAYER,
            bytes_sent=None,
            address=known.address,
            heard=known.heard,
            sent=known.sent,
            label=known.label,
        )


_PLAYER = "player"
"""What is told of those that have a row in ``playbacks``."""
SOURCES: tuple[Source, ...] = (_of_player, _of_audit)


def listened(
    conn: Connection, scope: Scope, since: UnixMillis, until: UnixMillis, limit: int
) -> list[ListenedCall]:
    """Who listened to recordings of calls within a scope, newest first.

    Args:
        conn: A read transaction.
        scope: Of who reads; what is outside is left out.
        since: Listenings that began then or later.
        until: Listenings that began before then.
        limit: How many at the most; the newest are kept.

    Cost: the rows of the period, and a query for each 500 of them.
    """
    found = sorted(
        (each for source in SOURCES for each in source(conn, since, until)),
        key=lambda each: (-each.at, each.recording_id, each.web_user_id),
    )
    names = {
        row.id: row.username for row in conn.execute(select(web_users.c.id, web_users.c.username))
    }
    shown: list[ListenedCall] = []
    for begin in range(0, len(found), 500):
        batch = found[begin : begin + 500]
        calls = _calls(conn, scope, sorted({each.recording_id for each in batch}))
        for each in batch:
            call = calls.get(each.recording_id)
            if call is not None:
                username = names.get(each.web_user_id, each.web_user_id)
                if each.label is not None:
                    username = f"{each.label} (by {username})"
                shown.append(ListenedCall(each, username, call))
        if len(shown) >= limit:
            break
    return shown[:limit]


def _calls(
    conn: Connection, scope: Scope, recording_ids: list[RecordingId]
) -> dict[str, HeardCall]:
    c = call_records.c
    rows = conn.execute(
        select(c.recording_id, c.id, c.started_at, c.from_number, c.to_number, c.extension)
        .where(c.recording_id.in_(recording_ids), in_scope(scope))
        .order_by(c.started_at, c.id)
    )
    found: dict[str, HeardCall] = {}
    for recording_id, call_id, started_at, *rest in rows:
        call = HeardCall(CallId(call_id), UnixMillis(started_at), *rest)
        found.setdefault(recording_id, call)
    return found
