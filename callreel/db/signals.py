"""Signals: who said when that something must not be heard, and what of it masks which recording.

Spans from signals are worked out anew whenever a signal, a call or a leg comes in, in the same
transaction, so that the stored spans and the mask revision always fit together.
Source: contract.md section 4.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    insert,
    or_,
    select,
    union,
    update,
)

from callreel.db import changes
from callreel.db.masks import Seal, change_state, insert_span, is_intact, reseal, stored_end
from callreel.db.schema import (
    call_records,
    channels,
    directory_users,
    groups,
    recordings,
    signals,
    sites,
    spans,
)
from callreel.errors import BadRequest
from callreel.model import (
    CallId,
    RecordingId,
    Scope,
    SpanSource,
    UnixMillis,
    WebUserId,
)
from callreel.spans import Beginning, PairedSpan, SignalMoment, SpanRules, pair_signals


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg of a call as its switch names it; one of the ids is set."""

    datasource: str
    """The feed of that switch: another one may give the same ids."""
    unique_id: str | None
    """Of the leg itself."""
    linked_id: str | None
    """Of another leg of the same conversation, or what the switch calls all of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a signal is about: a user, a channel, or one call as such; one of them is set.

    A user or a channel may be told about within one call only: then ``call_id`` is set as well.
    A switch names a call as it does in its own records: then ``leg`` is set, and nothing else.
    """

    directory_user_id: str | None = None
    channel_id: str | None = None
    call_id: str | None = None
    leg: Leg | None = None


def object_ids(
    conn: Connection, scope: Scope, objtype: str, objid: str, container: str | None
) -> list[Target]:
    """The users or channels of this id that somebody may reach.

    Args:
        conn: Any transaction.
        scope: Who asks.
        objtype: ``user`` or ``channel``.
        objid: An extension, or the name of a channel.
        container: Id or name of a site or group that narrows the search; None or empty for all.

    Raises:
        BadRequest: ``objtype`` is something else.
    """
    if objtype == "user":
        table, wanted = directory_users, directory_users.c.extension == objid
    elif objtype == "channel":
        table, wanted = channels, channels.c.name == objid
    else:
        raise BadRequest("objtype: must be user or channel.")
    query = select(table.c.id).where(wanted)
    if not scope.everything:
        query = query.where(_within(table, scope.site_ids, scope.group_ids))
    if container:
        named_sites = conn.execute(
            select(sites.c.id).where(or_(sites.c.id == container, sites.c.name == container))
        ).scalars()
        named_groups = conn.execute(
            select(groups.c.id).where(or_(groups.c.id == container, groups.c.name == container))
        ).scalars()
        query = query.where(_within(table, named_sites, named_groups))
    ids = conn.execute(query.order_by(table.c.id)).scalars()
    if objtype == "user":
        return [Target(directory_user_id=each) for each in ids]
    return [Target(channel_id=each) for each in ids]


def _within(table: Table, site_ids: Iterable[str], group_ids: Iterable[str]) -> ColumnElement[bool]:
    in_site = table.c.site_id.in_(sorted(site_ids))
    if "group_id" not in table.c:
        return in_site
    return or_(in_site, table.c.group_id.in_(sorted(group_ids)))


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal to store."""

    at: UnixMillis
    received_at: UnixMillis
    mute: bool
    source: str
    """``web``, ``switch``, or ``person`` who settled another one."""
    web_user_id: WebUserId | None = None
    source_key: str | None = None
    """Tells a signal of a switch from every other; the same again is not stored twice."""


def add_signal(conn: Connection, targets: Sequence[Target], new: NewSignal) -> list[str]:
    """Store a signal, one row for each object it is about; gives the ids of those that are new.

    One that is known but names more of its call now, as another form of the same event may, is
    completed and counts as new.

    From here to the commit no call comes in: else a signal and its call, written at the same
    moment, could each miss the other, and speech stay unmasked.
    """
    changes.hold_order(conn)
    ids = []
    for target in targets:
        key = None if new.source_key is None else f"{new.source_key}\n{_name(target)}"
        if key is not None and _is_known(conn, key):
            ids += _told_more(conn, key, target)
            continue
        signal_id = "s" + secrets.token_hex(10)
        conn.execute(
            insert(signals).values(
                id=signal_id,
                directory_user_id=target.directory_user_id,
                channel_id=target.channel_id,
                call_id=target.call_id,
                datasource=target.leg.datasource if target.leg else None,
                unique_id=target.leg.unique_id if target.leg else None,
                linked_id=target.leg.linked_id if target.leg else None,
                at=new.at,
                received_at=new.received_at,
                mute=new.mute,
                source=new.source,
                source_key=key,
                web_user_id=new.web_user_id,
                created_at=new.received_at,
            )
        )
        ids.append(signal_id)
    return ids


def target_of(conn: Connection, signal_id: str) -> Target:
    """What a stored signal is about."""
    row = conn.execute(select(signals).where(signals.c.id == signal_id)).one()
    leg = Leg(row.datasource, row.unique_id, row.linked_id) if row.datasource else None
    return Target(row.directory_user_id, row.channel_id, row.call_id, leg)


def _name(target: Target) -> str:
    return "\n".join(
        each or "" for each in (target.directory_user_id, target.channel_id, target.call_id)
    )


def _is_known(conn: Connection, source_key: str) -> bool:
    wanted = select(signals.c.id).where(signals.c.source_key == source_key)
    return conn.execute(wanted).first() is not None


def _told_more(conn: Connection, source_key: str, target: Target) -> list[str]:
    """The id of a known signal that learned its linked id, so that it may find its call."""
    if target.leg is None or target.leg.linked_id is None:
        return []
    lacking = and_(signals.c.source_key == source_key, signals.c.linked_id.is_(None))
    ids = list(conn.execute(select(signals.c.id).where(lacking)).scalars())
    conn.execute(update(signals).where(lacking).values(linked_id=target.leg.linked_id))
    return ids


@dataclass(frozen=True, slots=True)
class Match:
    """A call that a signal is about, and the recording that is masked for it."""

    call_id: CallId
    recording_id: RecordingId | None
    """None where nothing was recorded, so far."""


def calls_meant(conn: Connection, signal_ids: Sequence[str]) -> tuple[Match, ...]:
    """The calls that signals are about: those of their object at their time, or the one named."""
    if not signal_ids:
        return ()
    c = call_records.c
    wanted = union(
        *(
            select(c.id, c.recording_id)
            .select_from(signals.join(LEGS, about))
            .where(signals.c.id.in_(signal_ids))
            for about in belongs()
        )
    )
    found = [Match(CallId(call_id), recording) for call_id, recording in conn.execute(wanted)]
    return tuple(sorted(found, key=lambda match: match.call_id))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a signal."""

    signal_ids: tuple[str, ...]
    """One for each object it is about; none where all of it was known."""
    matches: tuple[Match, ...]
    """Empty where it is held until its call comes."""


def take_signal(conn: Connection, targets: Sequence[Target], new: NewSignal, seal: Seal) -> Taken:
    """Store a signal and mask the recordings of the calls that it is about."""
    ids = add_signal(conn, targets, new)
    matches = calls_meant(conn, ids)
    for recording_id in sorted({each.recording_id for each in matches if each.recording_id}):
        rebuild_signal_spans(conn, recording_id, seal, new.received_at)
    return Taken(tuple(ids), matches)


LEGS = call_records.outerjoin(recordings, recordings.c.id == call_records.c.recording_id)
"""Calls, with their recordings where they have one."""


def belongs() -> tuple[ColumnElement[bool], ...]:
    """The ways in which a signal is about a call of LEGS; an index serves each.

    A call that is named is meant whatever its clock says: times outside it mask more, not less.
    """
    c, s = call_records.c, signals.c
    in_time = and_(s.call_id.is_(None), _is_on_at(s.at))
    return (
        and_(c.directory_user_id == s.directory_user_id, in_time),
        and_(c.channel_id == s.channel_id, in_time),
        *names_call(),
    )


def names_call() -> tuple[ColumnElement[bool], ...]:
    """The ways in which a signal names a call: by our id of it, or as its switch does.

    The names that a switch gives to legs are compared crosswise: what is the linked id of one
    record is the unique id of another, and a transfer gives a leg a new linked id.
    """
    c, s = call_records.c, signals.c
    return (
        c.id == s.call_id,
        *(
            and_(c.datasource == s.datasource, of_call == of_signal)
            for of_call in (c.unique_id, c.linked_id)
            for of_signal in (s.unique_id, s.linked_id)
        ),
    )


def _is_on_at(at: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a call is on at an instant: until its end or that of its recording, the later one."""
    c, r = call_records.c, recordings.c
    # Where there is no recording this is NULL, and the call alone tells.
    recording_ms = at - r.started_at
    # A millisecond that has begun counts as a whole one.
    return and_(
        at >= c.started_at,
        or_(
            at < c.started_at + c.duration_s * 1000 + 1,
            recording_ms * r.rate_hz < r.frames * 1000 + r.rate_hz,
        ),
    )


def bind_signals(conn: Connection, call_id: CallId, seal: Seal, now: UnixMillis) -> None:
    """After a call was written: let signals that were held for it mask its recording.

    Harmless when there are none. Source: contract.md 4.4.
    """
    recording_id = conn.execute(
        select(call_records.c.recording_id).where(call_records.c.id == call_id)
    ).scalar()
    if recording_id is not None:
        rebuild_signal_spans(conn, RecordingId(recording_id), seal, now)


def rebuild_signal_spans(
    conn: Connection, recording_id: RecordingId, seal: Seal, now: UnixMillis
) -> bool:
    """Work out again what the signals mask in a recording; True where that changed its mask.

    Every leg counts: a signal about any call that shares the recording masks it for all. Each
    user's and each channel's signals are paired by themselves, under the rules of the leg's site.
    """
    changes.hold_order(conn)
    begins = conn.execute(
        select(
            recordings.c.started_at, recordings.c.starts_late_s, recordings.c.starts_early_s
        ).where(recordings.c.id == recording_id)
    ).first()
    if begins is None:
        return False
    parts = (spans.c.start_s, spans.c.end_s, spans.c.signal_on_id, spans.c.signal_off_id)
    rows = conn.execute(
        select(spans.c.id, spans.c.state, spans.c.changed_by, *parts).where(
            spans.c.recording_id == recording_id, spans.c.source == SpanSource.SIGNAL.value
        )
    ).all()
    stored = {tuple(row[3:]): row.id for row in rows if row.state == "active"}
    # What a person took away does not come back because another call is imported.
    taken_away = {
        (row.signal_on_id, row.signal_off_id)
        for row in rows
        if row.state == "removed" and row.changed_by is not None
    }
    given_up = {on_id for on_id, off_id in taken_away if on_id and not off_id}
    begin = Beginning(UnixMillis(begins.started_at), begins.starts_late_s, begins.starts_early_s)
    pairs = _paired(conn, recording_id, begin, given_up)
    wanted = {
        (pair.span.start_s, stored_end(pair.span), pair.on_id, pair.off_id): pair.span
        for pair in pairs
        if (pair.on_id, pair.off_id) not in taken_away
    }
    if stored.keys() == wanted.keys():
        return False
    intact = is_intact(conn, recording_id, seal)
    for key in stored.keys() - wanted.keys():
        # Kept, for whoever asks later what was masked when.
        change_state(
            conn,
            recording_id,
            stored[key],
            "removed",
            by=None,
            reason="its signals were paired anew",
            now=now,
        )
    for key in wanted.keys() - stored.keys():
        insert_span(
            conn,
            recording_id,
            wanted[key],
            SpanSource.SIGNAL,
            signal_on_id=key[2],
            signal_off_id=key[3],
            created_at=now,
        )
    reseal(conn, recording_id, seal, now, intact=intact)
    return True


def _paired(
    conn: Connection,
    recording_id: RecordingId,
    begin: Beginning,
    given_up: Container[str],
) -> list[PairedSpan]:
    s = signals.c
    about_whom = (s.directory_user_id, s.channel_id, s.unique_id, s.linked_id, s.call_id)
    rows = conn.execute(
        union(
            *(
                select(s.id, s.at, s.mute, *about_whom, call_records.c.site_id)
                .select_from(signals.join(LEGS, about))
                .where(
                    call_records.c.recording_id == recording_id,
                    or_(s.settled.is_(None), s.settled != "dismissed"),
                )
                for about in belongs()
            )
        )
    )
    heard: dict[tuple[str, str, str], list[SignalMoment]] = defaultdict(list)
    for row in rows:
        about = (row.directory_user_id or "", row.channel_id or "", row.site_id)
        leg = row.unique_id or row.linked_id or row.call_id
        heard[about].append(SignalMoment(row.id, UnixMillis(row.at), row.mute, leg))
    found: list[PairedSpan] = []
    for (_user, _channel, site_id), moments in heard.items():
        rules = replace(_rules(conn, site_id), late_s=begin.late_s, early_s=begin.early_s)
        found += pair_signals(moments, begin.at, rules, given_up)
    return found


def _rules(conn: Connection, site_id: str) -> SpanRules:
    row = conn.execute(select(sites.c.pad_s, sites.c.max_span_s).where(sites.c.id == site_id)).one()
    return SpanRules(pad_s=row.pad_s, max_span_s=row.max_span_s)
