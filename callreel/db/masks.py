"""Signals and spans: what was sent, what it masks, and the seal over the result.

Spans from signals are worked out anew whenever a signal, a call or a leg comes in, in the same
transaction, so that the stored spans and the mask revision always fit together.
"""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    insert,
    or_,
    select,
    update,
)

from callreel.db import changes
from callreel.db.rows import active_spans
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
    Span,
    SpanSource,
    UnixMillis,
    WebUserId,
)
from callreel.spans import PairedSpan, SignalMoment, SpanRules, pair_signals

Seal = Callable[[RecordingId, int, Sequence[Span]], str]
"""Makes the MAC over a recording's active spans at a revision; see ``access/keys.py``."""


@dataclass(frozen=True, slots=True)
class Target:
    """A user or a channel that a signal is about; one of the two is set."""

    directory_user_id: str | None = None
    channel_id: str | None = None

    def column_value(self) -> tuple[str, str]:
        """The column that names it, in calls and signals alike, and its id."""
        if self.directory_user_id is not None:
            return "directory_user_id", self.directory_user_id
        if self.channel_id is not None:
            return "channel_id", self.channel_id
        raise AssertionError("a target names a user or a channel")


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


def add_signal(
    conn: Connection,
    targets: Sequence[Target],
    *,
    at: UnixMillis,
    received_at: UnixMillis,
    mute: bool,
    web_user_id: WebUserId,
    now: UnixMillis,
) -> list[str]:
    """Store a signal, one row for each object it is about; gives their ids.

    From here to the commit no call comes in: else a signal and its call, written at the same
    moment, could each miss the other, and speech stay unmasked.
    """
    changes.hold_order(conn)
    ids = []
    for target in targets:
        signal_id = "s" + secrets.token_hex(10)
        conn.execute(
            insert(signals).values(
                id=signal_id,
                directory_user_id=target.directory_user_id,
                channel_id=target.channel_id,
                at=at,
                received_at=received_at,
                mute=mute,
                web_user_id=web_user_id,
                created_at=now,
            )
        )
        ids.append(signal_id)
    return ids


def recordings_touched(
    conn: Connection, targets: Sequence[Target], at: UnixMillis
) -> set[RecordingId]:
    """Recordings of the calls that these objects were in at an instant.

    A call whose recording ends after it is taken to last until that end.
    """
    found: set[RecordingId] = set()
    for target in targets:
        column, value = target.column_value()
        rows = conn.execute(
            select(call_records.c.recording_id)
            .join(recordings, recordings.c.id == call_records.c.recording_id)
            .where(call_records.c[column] == value, _is_on_at(at))
        )
        found |= {RecordingId(recording_id) for recording_id in rows.scalars()}
    return found


def _is_on_at(at: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Whether a call is on at an instant: until its end or that of its recording, the later one."""
    c, r = call_records.c, recordings.c
    call_ms = at - c.started_at
    recording_ms = at - r.started_at
    # A millisecond that has begun counts as a whole one.
    return and_(
        call_ms >= 0,
        or_(
            call_ms < c.duration_s * 1000 + 1,
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
    started_at = conn.execute(
        select(recordings.c.started_at).where(recordings.c.id == recording_id)
    ).scalar()
    if started_at is None:
        return False
    pairs = _paired(conn, recording_id, UnixMillis(started_at))
    wanted = {
        (pair.span.start_s, _stored_end(pair.span), pair.on_id, pair.off_id): pair.span
        for pair in pairs
    }
    of_signals = and_(
        spans.c.recording_id == recording_id,
        spans.c.source == SpanSource.SIGNAL.value,
        spans.c.state == "active",
    )
    parts = (spans.c.start_s, spans.c.end_s, spans.c.signal_on_id, spans.c.signal_off_id)
    stored = {
        tuple(row[1:]): row.id for row in conn.execute(select(spans.c.id, *parts).where(of_signals))
    }
    if stored.keys() == wanted.keys():
        return False
    for key in stored.keys() - wanted.keys():
        # Kept, for whoever asks later what was masked when.
        conn.execute(
            update(spans)
            .where(spans.c.id == stored[key])
            .values(state="removed", reason="its signals were paired anew")
        )
    for key in wanted.keys() - stored.keys():
        _insert(
            conn,
            recording_id,
            wanted[key],
            SpanSource.SIGNAL,
            signal_on_id=key[2],
            signal_off_id=key[3],
            created_at=now,
        )
    reseal(conn, recording_id, seal, now)
    return True


def _paired(
    conn: Connection, recording_id: RecordingId, started_at: UnixMillis
) -> list[PairedSpan]:
    found: list[PairedSpan] = []
    for column in ("directory_user_id", "channel_id"):
        rows = conn.execute(
            select(
                signals.c.id,
                signals.c.at,
                signals.c.mute,
                signals.c[column],
                call_records.c.site_id,
            )
            .distinct()
            .join(call_records, call_records.c[column] == signals.c[column])
            .join(recordings, recordings.c.id == call_records.c.recording_id)
            .where(recordings.c.id == recording_id, _is_on_at(signals.c.at))
        )
        heard: dict[tuple[str, str], list[SignalMoment]] = defaultdict(list)
        for signal_id, at, mute, about, site_id in rows:
            heard[about, site_id].append(SignalMoment(signal_id, at, mute))
        for (_about, site_id), moments in heard.items():
            found += pair_signals(moments, started_at, _rules(conn, site_id))
    return found


def _rules(conn: Connection, site_id: str) -> SpanRules:
    row = conn.execute(select(sites.c.pad_s, sites.c.max_span_s).where(sites.c.id == site_id)).one()
    return SpanRules(pad_s=row.pad_s, max_span_s=row.max_span_s)


def add_spans(  # noqa: PLR0913  # who, why and when belong to every span
    conn: Connection,
    recording_id: RecordingId,
    new: Sequence[Span],
    source: SpanSource,
    *,
    actor: str | None,
    reason: str | None,
    seal: Seal,
    now: UnixMillis,
) -> bool:
    """Add spans as given; those that are there already, from the same source, are not doubled.

    Returns:
        Whether anything was added; then the mask has a new revision.
    """
    changes.hold_order(conn)
    rows = conn.execute(
        select(spans.c.start_s, spans.c.end_s, spans.c.channel).where(
            spans.c.recording_id == recording_id,
            spans.c.source == source.value,
            spans.c.state == "active",
        )
    )
    known = {tuple(row) for row in rows}
    added = False
    for span in dict.fromkeys(new):
        channel = None if span.channel is None else span.channel.value
        if (span.start_s, _stored_end(span), channel) not in known:
            _insert(conn, recording_id, span, source, actor=actor, reason=reason, created_at=now)
            added = True
    if added:
        reseal(conn, recording_id, seal, now)
    return added


def _stored_end(span: Span) -> float | None:
    return None if math.isinf(span.end_s) else span.end_s


def _insert(
    conn: Connection,
    recording_id: RecordingId,
    span: Span,
    source: SpanSource,
    **origin: str | int | None,
) -> None:
    conn.execute(
        insert(spans).values(
            id="m" + secrets.token_hex(10),
            recording_id=recording_id,
            start_s=span.start_s,
            end_s=_stored_end(span),
            channel=None if span.channel is None else span.channel.value,
            source=source.value,
            state="active",
            **origin,
        )
    )


def reseal(conn: Connection, recording_id: RecordingId, seal: Seal, now: UnixMillis) -> None:
    """Give the mask of a recording its next revision and a seal over its active spans."""
    changes.hold_order(conn)
    revision = conn.execute(
        select(recordings.c.mask_revision).where(recordings.c.id == recording_id)
    ).scalar_one()
    active = active_spans(conn, [recording_id]).get(recording_id, ())
    conn.execute(
        update(recordings)
        .where(recordings.c.id == recording_id)
        .values(
            mask_revision=revision + 1,
            mask_seal=seal(recording_id, revision + 1, active),
        )
    )
    changes.record(conn, now, "mask", recording_id=recording_id)
