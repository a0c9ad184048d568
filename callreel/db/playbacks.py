"""What people listened to in the player: which stretches, when, from where, how fast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from callreel.db.people_schema import playbacks
from callreel.db.schema import web_users
from callreel.model import CallId, RecordingId, UnixMillis, WebUserId

Stretch = tuple[float, float]
"""[from, to) in seconds of the recording."""


@dataclass(frozen=True, slots=True)
class Playback:
    """One sitting: sound left to a player, at one seat, under one mask."""

    id: str
    name: str
    """What the page calls the sitting; a page makes it up, and may use it again."""
    seat: str
    """Whose session, or which lease."""
    recording_id: RecordingId
    call_id: CallId | None
    web_user_id: WebUserId
    label: str | None
    """Whom an integrator's link was made for; None for somebody who signed in."""
    mask_revision: int
    address: str | None
    started_at: UnixMillis
    heard_at: UnixMillis
    """When sound left last, or the player last told what was heard."""
    speed: float = 1.0
    heard: tuple[Stretch, ...] = ()
    """As the player told: sorted, joined where they touch."""
    sent: tuple[Stretch, ...] | None = ()
    """What left, heard or not; None of a sitting before this was written down."""


def begin(conn: Connection, playback: Playback) -> None:
    """Write down that sound leaves."""
    values = {name: getattr(playback, name) for name in Playback.__slots__}
    heard, sent = json.dumps(playback.heard), json.dumps(playback.sent)
    conn.execute(insert(playbacks).values(**{**values, "heard": heard, "sent": sent}))


def hold_order(conn: Connection, web_user_id: WebUserId) -> None:
    """Let nobody else begin a sitting of this user before this transaction is over."""
    conn.execute(select(web_users.c.id).where(web_users.c.id == web_user_id).with_for_update())


def newest(
    conn: Connection, name: str, web_user_id: WebUserId, recording_id: RecordingId
) -> Playback | None:
    """The newest sitting of a user that a page calls so; None where there is none."""
    p = playbacks.c
    mine = (p.name == name, p.web_user_id == web_user_id, p.recording_id == recording_id)
    newest_first = select(playbacks).where(*mine).order_by(p.started_at.desc(), p.id.desc())
    row = conn.execute(newest_first.limit(1)).mappings().first()
    return None if row is None else of_row(row)


def of_row(row: RowMapping) -> Playback:
    """A row of ``playbacks``."""
    return Playback(
        **{
            **row,
            "heard": _stretches(row["heard"]),
            "sent": None if row["sent"] is None else _stretches(row["sent"]),
        }
    )


def add(  # two kinds of stretches, and when
    conn: Connection,
    playback_id: str,
    now: UnixMillis,
    *,
    heard: Iterable[Stretch] = (),
    sent: Iterable[Stretch] = (),
    speed: float | None = None,
) -> None:
    """Add what a player told, or what left."""
    mine = playbacks.c.id == playback_id
    wanted = select(playbacks.c.heard, playbacks.c.sent).where(mine).with_for_update()
    row = conn.execute(wanted).one()
    values: dict[str, object] = {
        "heard_at": now,
        "heard": json.dumps(joined([*_stretches(row.heard), *heard])),
        "sent": json.dumps(joined([*_stretches(row.sent or "[]"), *sent])),
    }
    if speed is not None:
        values["speed"] = speed
    conn.execute(update(playbacks).where(mine).values(**values))


def _stretches(text: str) -> tuple[Stretch, ...]:
    return tuple((float(start), float(end)) for start, end in json.loads(text))


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches sorted, those that touch or overlap made one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1] + _TOUCH_S:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


_TOUCH_S = 0.05
"""A player tells where it is a few times a second; less than this apart is the same stretch."""


def of_recording(conn: Connection, recording_id: RecordingId) -> tuple[tuple[str, int], ...]:
    """Who listened to a recording, and how often; most often first."""
    p = playbacks.c
    name = func.coalesce(p.label, web_users.c.username)
    rows = conn.execute(
        select(name, func.count())
        .select_from(playbacks.join(web_users, web_users.c.id == p.web_user_id))
        .where(p.recording_id == recording_id)
        .group_by(name)
        .order_by(func.count().desc(), name)
    )
    return tuple((who, count) for who, count in rows)
