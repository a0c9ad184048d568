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
    Row,
    Select,
    and_,
    delete,
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
        query = query.where(_within(table.c, scope.site_ids, scope.group_ids))
    if container:
        named_sites = conn.execute(
            select(sites.c.id).where(or_(sites.c.id == container, sites.c.name == container))
        ).scalars()
        named_groups = conn.execute(
            select(groups.c.id).where(or_(groups.c.id == container, groups.c.name == container))
        ).scalars()
        query = query.where(_within(table.c, named_sites, named_groups))
    ids = conn.execute(query.order_by(table.c.id)).scalars()
    if objtype == "user":
        return [Target(directory_user_id=each) for each in ids]
    return [Target(channel_id=each) for each in ids]


def _within(
    columns: object, site_ids: Iterable[str], group_ids: Iterable[str]
) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = [columns.site_id.in_(sorted(site_ids))]  # type: ignore[attr-defined]  # a table's columns
    group = getattr(columns, "group_id", None)
    if group is not None:
        parts.append(group.in_(sorted(group_ids)))
    return or_(*parts)


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

    From here to the commit no call comes in: else a signal and its call, written at the same moment,
    could each miss the other, and speech stay unmasked.
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

    A call whose recording is longer than the call is taken to last as long as the recording.
    """
    found: set[RecordingId] = set()
    for target in targets:
        column, value = target.column_value()
        rows = conn.execute(
            _windows().where(
                call_records.c[column] == value,
                call_records.c.started_at <= at,
                call_records.c.recording_id.is_not(None),
            )
        )
        found |= {RecordingId(row.recording_id) for row in rows if at <= _ends_at(row)}
    return found


def _windows() -> Select[tuple[object, ...]]:
    return select(
        call_records.c.recording_id,
        call_records.c.started_at,
        call_records.c.duration_s,
        call_records.c.directory_user_id,
        call_records.c.channel_id,
        call_records.c.site_id,
        recordings.c.frames,
        recordings.c.rate_hz,
    ).select_from(
        call_records.outerjoin(recordings, recordings.c.id == call_records.c.recording_id)
    )


def _ends_at(row: Row[tuple[object, ...]]) -> int:
    m = row._mapping
    recorded_s = m["frames"] / m["rate_hz"] if m["frames"] is not None else 0.0
    return int(m["started_at"] + math.ceil(max(m["duration_s"], recorded_s) * 1000))


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
    started_at = conn.execute(
        select(recordings.c.started_at).where(recordings.c.id == recording_id).with_for_update()
    ).scalar()
    if started_at is None:
        return False
    pairs = _paired(conn, recording_id, UnixMillis(started_at))
    stored = conn.execute(
        select(spans.c.start_s, spans.c.end_s, spans.c.signal_on_id, spans.c.signal_off_id).where(
            spans.c.recording_id == recording_id,
            spans.c.source == SpanSource.SIGNAL.value,
            spans.c.state == "active",
        )
    ).all()
    wanted = {(p.span.start_s, _stored_end(p.span), p.on_id, p.off_id) for p in pairs}
    if {tuple(row) for row in stored} == wanted:
        return False
    conn.execute(
        delete(spans).where(
            spans.c.recording_id == recording_id,
            spans.c.source == SpanSource.SIGNAL.value,
            spans.c.state == "active",
        )
    )
    for pair in pairs:
        _insert(conn, recording_id, pair.span, SpanSource.SIGNAL, None, None, now, pair)
    reseal(conn, recording_id, seal, now)
    return True


def _paired(
    conn: Connection, recording_id: RecordingId, started_at: UnixMillis
) -> list[PairedSpan]:
    legs = conn.execute(_windows().where(call_records.c.recording_id == recording_id)).all()
    heard: dict[tuple[str, str], dict[str, SignalMoment]] = defaultdict(dict)
    site_of: dict[tuple[str, str], str] = {}
    for leg in legs:
        for column in ("directory_user_id", "channel_id"):
            value = leg._mapping[column]
            if value is None:
                continue
            rows = conn.execute(
                select(signals.c.id, signals.c.at, signals.c.mute).where(
                    and_(
                        signals.c[column] == value,
                        signals.c.at >= leg.started_at,
                        signals.c.at <= _ends_at(leg),
                    )
                )
            )
            site_of[column, value] = leg.site_id
            for row in rows:
                heard[column, value][row.id] = SignalMoment(row.id, UnixMillis(row.at), row.mute)
    return [
        pair
        for key in sorted(heard)
        for pair in pair_signals(heard[key].values(), started_at, _rules(conn, site_of[key]))
    ]


def _rules(conn: Connection, site_id: str) -> SpanRules:
    row = conn.execute(select(sites.c.pad_s, sites.c.max_span_s).where(sites.c.id == site_id)).one()
    return SpanRules(pad_s=row.pad_s, max_span_s=row.max_span_s)


def add_spans(
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
            _insert(conn, recording_id, span, source, actor, reason, now)
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
    actor: str | None,
    reason: str | None,
    now: UnixMillis,
    pair: PairedSpan | None = None,
) -> None:
    conn.execute(
        insert(spans).values(
            id="m" + secrets.token_hex(10),
            recording_id=recording_id,
            start_s=span.start_s,
            end_s=_stored_end(span),
            channel=None if span.channel is None else span.channel.value,
            source=source.value,
            reason=reason,
            actor=actor,
            state="active",
            signal_on_id=pair.on_id if pair else None,
            signal_off_id=pair.off_id if pair else None,
            created_at=now,
        )
    )


def reseal(conn: Connection, recording_id: RecordingId, seal: Seal, now: UnixMillis) -> None:
    """Give the mask of a recording its next revision and a seal over its active spans."""
    revision = conn.execute(
        select(recordings.c.mask_revision).where(recordings.c.id == recording_id).with_for_update()
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
