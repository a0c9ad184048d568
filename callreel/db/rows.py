"""Rows to records: calls and recordings as ``model`` knows them, with their spans.

Every reader of calls goes through here, so that a mask cannot be forgotten in one list.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    false,
    or_,
    select,
    true,
)

from callreel.db.directory import fill_of_row
from callreel.db.schema import call_records, datasources, directory_users, recordings, sites, spans
from callreel.model import (
    DEFAULT_FILL,
    Call,
    CallId,
    Direction,
    Party,
    Recording,
    RecordingId,
    RecordingState,
    Scope,
    SourceFacts,
    Span,
    UnixMillis,
)
from callreel.spans import effective_spans, mask_on_frames


def in_scope(scope: Scope) -> ColumnElement[bool]:
    """The condition on ``call_records`` that a Scope stands for; an empty one is never true."""
    if scope.everything:
        return true()
    parts: list[ColumnElement[bool]] = []
    if scope.site_ids:
        parts.append(call_records.c.site_id.in_(sorted(scope.site_ids)))
    if scope.group_ids:
        members = select(directory_users.c.id).where(
            directory_users.c.group_id.in_(sorted(scope.group_ids))
        )
        parts.append(call_records.c.directory_user_id.in_(members))
    return or_(*parts) if parts else false()


def select_calls() -> Select[tuple[object, ...]]:
    """Call rows with what of their recording is needed to show them."""
    return select(
        call_records,
        recordings.c.rate_hz,
        recordings.c.frames,
        recordings.c.channels.label("recording_channels"),
        recordings.c.memory_frames,
    ).select_from(
        call_records.outerjoin(recordings, recordings.c.id == call_records.c.recording_id)
    )


def active_spans(conn: Connection, recording_ids: Iterable[str]) -> dict[str, tuple[Span, ...]]:
    """The active spans of many recordings, in one query; as stored, in no promised order."""
    found: dict[str, list[Span]] = defaultdict(list)
    ids = sorted(set(recording_ids))
    if ids:
        rows = conn.execute(
            select(spans.c.recording_id, spans.c.start_s, spans.c.end_s, spans.c.channel).where(
                spans.c.recording_id.in_(ids), spans.c.state == "active"
            )
        )
        for recording_id, start_s, end_s, channel in rows:
            found[recording_id].append(span_of(start_s, end_s, channel))
    return {recording_id: tuple(each) for recording_id, each in found.items()}


def span_of(start_s: float, end_s: float | None, channel: str | None) -> Span:
    """A span of a row; no end means to the end of the recording."""
    return Span(
        start_s, math.inf if end_s is None else end_s, None if channel is None else Party(channel)
    )


def calls_of_rows(conn: Connection, rows: Sequence[RowMapping]) -> tuple[Call, ...]:
    """Rows of ``select_calls`` as Calls, with one more query for all of their spans."""
    masked = active_spans(conn, (row["recording_id"] for row in rows if row["recording_id"]))
    found = []
    for m in rows:
        raw = masked.get(m["recording_id"], ())
        if m["frames"] is None:
            duration_s, shown = m["duration_s"], raw
        else:
            mask = mask_on_frames(
                raw,
                rate_hz=m["rate_hz"],
                frames=m["frames"],
                channels=m["recording_channels"],
                memory_frames=m["memory_frames"],
            )
            duration_s = m["frames"] / m["rate_hz"]
            shown = effective_spans(mask, m["rate_hz"])
        found.append(
            Call(
                id=CallId(m["id"]),
                recording_id=RecordingId(m["recording_id"]) if m["recording_id"] else None,
                datasource=m["datasource"],
                voicelocation=m["voicelocation"],
                voicefilename=m["voicefilename"],
                started_at=UnixMillis(m["started_at"]),
                duration_s=duration_s,
                direction=Direction(m["direction"]),
                from_number=m["from_number"],
                to_number=m["to_number"],
                extension=m["extension"],
                channel=m["channel"],
                masked_spans=shown,
            )
        )
    return tuple(found)


def select_recordings() -> Select[tuple[object, ...]]:
    """Recordings, each once for every active span or once without one, from one moment."""
    active = (spans.c.recording_id == recordings.c.id) & (spans.c.state == "active")
    return select(
        recordings,
        spans.c.id.label("span_id"),
        spans.c.start_s.label("span_start_s"),
        spans.c.end_s.label("span_end_s"),
        spans.c.channel.label("span_channel"),
    ).select_from(recordings.outerjoin(spans, active))


FILL = (
    select(
        sites.c.fill_kind,
        sites.c.fill_hz,
        sites.c.fill_dbfs,
        sites.c.fill_samples,
        sites.c.fill_rate_hz,
    )
    .join(datasources, datasources.c.site_id == sites.c.id)
    .where(datasources.c.id == bindparam("datasource"))
)
"""What is written over what is masked, of a datasource's site."""


def recording_of_rows(
    rows: Sequence[Mapping[Any, Any]], fills: Callable[[str], Sequence[Mapping[Any, Any]]]
) -> Recording | None:
    """The rows of ``select_recordings`` about one recording; None where there are none.

    Args:
        rows: Of one recording, all of them.
        fills: Asks FILL about a datasource.
    """
    if not rows:
        return None
    m, facts = rows[0], None
    if m["frames"] is not None:
        facts = SourceFacts(
            codec=m["codec"],
            container=m["container"],
            rate_hz=m["rate_hz"],
            channels=m["channels"],
            frames=m["frames"],
            data_offset=m["data_offset"],
            data_size=m["data_size"],
            block_align=m["block_align"],
            memory_frames=m["memory_frames"],
            repaired=m["repaired"],
        )
    return Recording(
        id=RecordingId(m["id"]),
        datasource=m["datasource"],
        voicelocation=m["voicelocation"],
        voicefilename=m["voicefilename"],
        store_id=m["store_id"],
        object_key=m["object_key"],
        size_bytes=m["size_bytes"],
        sha256=m["sha256"],
        content_version=m["content_version"],
        state=RecordingState(m["state"]),
        reason=m["reason"],
        facts=facts,
        ready_at=UnixMillis(m["ready_at"]),
        mask_revision=m["mask_revision"],
        spans=tuple(
            span_of(row["span_start_s"], row["span_end_s"], row["span_channel"])
            for row in rows
            if row["span_id"] is not None
        ),
        mask_seal=m["mask_seal"],
        fill=next(map(fill_of_row, fills(m["datasource"])), DEFAULT_FILL),
        source_commitment=m["source_commitment"],
        awaits_keys=m["key_presses"] == "apply" and m["keys_revision"] is None,
        agent_channel=None if m["agent_channel"] is None else Party(m["agent_channel"]),
        deleted_at=None if m["deleted_at"] is None else UnixMillis(m["deleted_at"]),
    )
