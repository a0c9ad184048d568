"""What people listened to in the player: which stretches, when, from where, how fast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from callreel.db.people_schema import playbacks
from callreel.db.schema import web_users
from callreel.model import CallId, RecordingId, UnixMillis, WebUserId

Stretch = tuple[float, float]
"""[from, to) in seconds of the recording."""


@dataclass(frozen=True, slots=True)
class Playback:
    """One sitting: a player was opened, and sound left."""

    id: str
    recording_id: RecordingId
    call_id: CallId | None
    web_user_id: WebUserId
    username: str
    label: str | None
    """Whom an integrator's link was made for; None for somebody who signed in."""
    mask_revision: int
    """Of the sound that was sent last."""
    address: str | None
    started_at: UnixMillis
    heard_at: UnixMillis
    """When the player last told what was heard."""
    speed: float
    heard: tuple[Stretch, ...]
    """As the player told: sorted, joined where they touch."""


def begin(conn: Connection, playback: Playback) -> bool:
    """Write down that sound leaves; False where this sitting is known already."""
    known = select(playbacks.c.id).where(playbacks.c.id == playback.id)
    if conn.execute(known).first() is not None:
        return False
    conn.execute(
        insert(playbacks).values(
            id=playback.id,
            recording_id=playback.recording_id,
            call_id=playback.call_id,
            web_user_id=playback.web_user_id,
            label=playback.label,
            mask_revision=playback.mask_revision,
            address=playback.address,
            started_at=playback.started_at,
            heard_at=playback.heard_at,
            speed=playback.speed,
            heard=json.dumps(playback.heard),
        )
    )
    return True


def owner(conn: Connection, playback_id: str) -> tuple[WebUserId, RecordingId] | None:
    """Whose a sitting is, and of which recording; None where it is not known."""
    p = playbacks.c
    row = conn.execute(select(p.web_user_id, p.recording_id).where(p.id == playback_id)).first()
    return None if row is None else (WebUserId(row.web_user_id), RecordingId(row.recording_id))


def add_heard(
    conn: Connection,
    playback_id: str,
    web_user_id: WebUserId,
    heard: Iterable[Stretch],
    speed: float,
    now: UnixMillis,
) -> bool:
    """Add what a player told; False where the sitting is not known, or somebody else's."""
    p = playbacks.c
    mine = (p.id == playback_id) & (p.web_user_id == web_user_id)
    row = conn.execute(select(p.heard).where(mine).with_for_update()).first()
    if row is None:
        return False
    known = [(float(start), float(end)) for start, end in json.loads(row.heard)]
    told = json.dumps(joined([*known, *heard]))
    conn.execute(update(playbacks).where(mine).values(heard=told, speed=speed, heard_at=now))
    return True


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
