"""Spans set by hand or by another system: added, widened, narrowed, confirmed, taken away.

Masking more is easy; masking less needs a right of its own, and the audit row holds what was masked
before and after. Source: contract.md 4.5 and 4.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from callreel.access.keys import KeyRing
from callreel.access.policy import Action, scope_for
from callreel.db import audit, calls, changes, key_presses, masks
from callreel.db.database import Database
from callreel.db.masks import StoredSpan
from callreel.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from callreel.model import (
    Clock,
    Party,
    Principal,
    Recording,
    RecordingId,
    Span,
    SpanSource,
    UnixMillis,
)
from callreel.spans import MAX_POSITION_S, Mask, covers, effective_spans, mask_of

MAX_REASON = 500
"""Characters."""
PARTIES = {"both": None, Party.LEFT.value: Party.LEFT, Party.RIGHT.value: Party.RIGHT}
"""How a span's channel is named by people and programs."""


@dataclass(frozen=True, slots=True)
class RecordingSpans:
    """What is masked in a recording, and why."""

    recording_id: RecordingId
    mask_revision: int
    masked_spans: tuple[Span, ...]
    """The effective list, as everybody sees it."""
    spans: tuple[StoredSpan, ...]
    """Every span that is, was or is proposed to be masked."""
    changed: str | None = None
    """The id of the span that was added or changed."""


@dataclass(frozen=True, slots=True)
class SpanChange:
    """What somebody wants to be different about a span; what is not given stays."""

    reason: str
    start_s: float | None = None
    end_s: float | None = None
    """``math.inf`` for "to the end"."""
    channel: str | None = None
    """A key of PARTIES."""
    confirm: bool = False
    """Whether a proposal becomes active."""


@dataclass(frozen=True, slots=True)
class _Act:
    """Who changes something, why, when, from where."""

    principal: Principal
    reason: str
    at: UnixMillis
    address: str | None

    def insert(self, conn: Connection, recording_id: RecordingId, span: Span) -> str:
        """Add a span by hand; gives its id."""
        return masks.insert_span(
            conn,
            recording_id,
            span,
            SpanSource.HAND,
            actor=self.principal.username,
            reason=self.reason,
            created_at=self.at,
        )

    def change_state(
        self, conn: Connection, recording_id: RecordingId, span_id: str, state: str
    ) -> None:
        """Make a span active or removed."""
        masks.change_state(
            conn,
            recording_id,
            span_id,
            state,
            by=self.principal.username,
            reason=self.reason,
            now=self.at,
        )


class Masking:
    """Changes what is masked."""

    def __init__(self, db: Database, keys: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock

    def spans(self, principal: Principal, recording_id: RecordingId) -> RecordingSpans:
        """What is masked in a recording, and what was.

        Raises:
            NotFound: No such recording within this user's sight.
        """
        with self._db.read() as conn:
            recording = _find(conn, principal, Action.SEE_CALLS, recording_id)
            return _seen(conn, recording)

    def add(
        self,
        principal: Principal,
        recording_id: RecordingId,
        span: Span,
        reason: str,
        *,
        address: str | None,
    ) -> RecordingSpans:
        """Mask a stretch, as given: it is not padded.

        Raises:
            BadRequest: The stretch is not within the recording, or there is no reason.
            NotFound: No such recording that this user may mask.
            Unavailable: It could not be stored.
        """
        act = _Act(principal, require_reason(reason), self._clock(), address)
        with self._db.write() as conn:
            recording = self._intact(conn, principal, recording_id)
            _require_within(span, recording)
            span_id = act.insert(conn, recording_id, span)
            return self._changed(conn, act, recording, "span.add", span_id)

    def change(
        self,
        principal: Principal,
        recording_id: RecordingId,
        span_id: str,
        wanted: SpanChange,
        *,
        address: str | None,
    ) -> RecordingSpans:
        """Move, confirm or re-assign a span.

        The row itself becomes history; a new one with the cause "hand" takes its place, or, where a
        proposal is only confirmed, the same row becomes active.

        Raises:
            BadRequest: As ``add``.
            NotFound: No such span of a recording that this user may mask.
            Forbidden: Less would be masked, and this user may not do that.
            Conflict: It is history already, or what is burned in would be shown as clear.
            Unavailable: It could not be stored.
        """
        act = _Act(principal, require_reason(wanted.reason), self._clock(), address)
        with self._db.write() as conn:
            recording = self._intact(conn, principal, recording_id)
            stored = _find_span(conn, recording, span_id)
            span = _changed_span(stored.span, wanted)
            _require_within(span, recording)
            if span == stored.span:
                if not (wanted.confirm and stored.state == "proposed"):
                    raise BadRequest(
                        "Nothing would change: give start_s, end_s or channel, or "
                        "confirm a proposal with state active."
                    )
                act.change_state(conn, recording_id, span_id, "active")
                return self._decided(conn, act, recording, "span.change", stored)
            proposed, wished = (replace(recording, spans=(each,)) for each in (stored.span, span))
            if stored.state == "proposed" and is_narrower(proposed, wished):
                # Elsewhere or smaller, it dismisses some of what was proposed.
                _require_narrowing(conn, principal, recording)
            act.change_state(conn, recording_id, span_id, "removed")
            span_id = act.insert(conn, recording_id, span)
            return self._changed(conn, act, recording, "span.change", span_id)

    def remove(
        self,
        principal: Principal,
        recording_id: RecordingId,
        span_id: str,
        reason: str,
        *,
        address: str | None,
    ) -> RecordingSpans:
        """Take a span away, or dismiss a proposal; it stays in the history.

        Raises:
            As ``change``. Dismissing a proposal needs the right to narrow too.
        """
        act = _Act(principal, require_reason(reason), self._clock(), address)
        with self._db.write() as conn:
            recording = self._intact(conn, principal, recording_id)
            stored = _find_span(conn, recording, span_id)
            if stored.state == "proposed":
                _require_narrowing(conn, principal, recording)
            act.change_state(conn, recording_id, span_id, "removed")
            if stored.state == "proposed":
                return self._decided(conn, act, recording, "span.remove", stored)
            return self._changed(conn, act, recording, "span.remove", span_id)

    def _decided(
        self, conn: Connection, act: _Act, recording: Recording, action: str, proposal: StoredSpan
    ) -> RecordingSpans:
        """As ``_changed``, for a proposal that was taken as it is or dismissed."""
        seen = self._changed(conn, act, recording, action, proposal.id)
        if proposal.source is not SpanSource.DTMF:
            return seen
        # The other proposals lie apart from it, so they would be found at the new mask as well.
        key_presses.note_searched(conn, recording.id)
        return replace(seen, spans=masks.stored_spans(conn, recording.id))

    def _intact(
        self, conn: Connection, principal: Principal, recording_id: RecordingId
    ) -> Recording:
        changes.hold_order(conn)
        recording = _find(conn, principal, Action.MASK, recording_id)
        if not masks.is_intact(conn, recording_id, self._keys.seal_mask):
            raise Unavailable(
                "What is masked in this recording cannot be read; an administrator must look.",
                retry_after_s=60,
                recording_id=recording_id,
                why="the spans do not fit their seal",
            )
        return recording

    def _changed(
        self, conn: Connection, act: _Act, before: Recording, action: str, span_id: str
    ) -> RecordingSpans:
        """Check the right, seal and record, in the transaction that made the change."""
        masks.reseal(conn, before.id, self._keys.seal_mask, act.at, intact=True)
        after = _find(conn, act.principal, Action.MASK, before.id)
        narrower = is_narrower(before, after)
        if narrower:
            _require_narrowing(conn, act.principal, before)
        audit.append(
            conn,
            audit.AuditEntry(
                at=act.at,
                actor=act.principal.username,
                action=action,
                object_id=before.id,
                decision="allowed",
                detail={
                    "span": span_id,
                    "reason": act.reason,
                    "narrower": narrower,
                    "before": _told(before),
                    "after": _told(after),
                    "mask_revision": after.mask_revision,
                },
                address=act.address,
            ),
        )
        return replace(_seen(conn, after), changed=span_id)


def is_narrower(before: Recording, after: Recording) -> bool:
    """Whether something that was masked no longer is."""
    if before.facts is None:
        return not set(before.spans) <= set(after.spans)
    return not covers(_mask(after), _mask(before))


def _mask(recording: Recording) -> Mask:
    facts = recording.facts
    assert facts is not None  # noqa: S101  # the callers look first
    return mask_of(recording.spans, facts)


def _effective(recording: Recording) -> tuple[Span, ...]:
    if recording.facts is None:
        return recording.spans
    return effective_spans(_mask(recording), recording.facts.rate_hz)


def _told(recording: Recording) -> list[list[object]]:
    return [[span.start_s, span.end_s, span.channel] for span in _effective(recording)]


def _seen(conn: Connection, recording: Recording) -> RecordingSpans:
    return RecordingSpans(
        recording.id,
        recording.mask_revision,
        _effective(recording),
        masks.stored_spans(conn, recording.id),
    )


def _find(
    conn: Connection, principal: Principal, action: Action, recording_id: RecordingId
) -> Recording:
    found = calls.find_recording(conn, scope_for(principal, action), recording_id)
    if found is None:
        raise NotFound("There is no such recording.")
    return found


def _find_span(conn: Connection, recording: Recording, span_id: str) -> StoredSpan:
    stored = {each.id: each for each in masks.stored_spans(conn, recording.id)}.get(span_id)
    if stored is None:
        raise NotFound("There is no such span.")
    if stored.state == "removed":
        raise Conflict("This span was taken away already.")
    return stored


def _require_narrowing(conn: Connection, principal: Principal, recording: Recording) -> None:
    """Raise unless this user may mask less of a recording, and it is still there to be heard."""
    scope = scope_for(principal, Action.NARROW)
    if calls.find_recording(conn, scope, recording.id) is None:
        raise Forbidden("Masking less needs the role compliance or administrator.")
    if masks.burned_revision(conn, recording.id) is not None:
        raise Conflict("The masks of this recording are burned in; nothing can bring it back.")


def require_reason(reason: str) -> str:
    """A reason as it is kept.

    Raises:
        BadRequest: It is missing or too long.
    """
    reason = reason.strip()
    if not reason:
        raise BadRequest("reason: is missing.")
    if len(reason) > MAX_REASON or "\0" in reason:
        raise BadRequest(f"reason: at most {MAX_REASON} characters of text.")
    return reason


def _require_within(span: Span, recording: Recording) -> None:
    if not 0 <= span.start_s <= MAX_POSITION_S or math.isnan(span.end_s):
        raise BadRequest("start_s: must be a number of seconds, 0 or more.")
    if MAX_POSITION_S < span.end_s < math.inf:
        raise BadRequest("end_s: no recording is so long; null masks to its end.")
    if span.end_s <= span.start_s:
        raise BadRequest("end_s: must be behind start_s.")
    if recording.facts is not None and span.start_s >= recording.facts.duration_s:
        raise BadRequest(
            f"start_s: is behind the end of the recording at {recording.facts.duration_s} s."
        )


def _changed_span(span: Span, wanted: SpanChange) -> Span:
    changed = span
    if wanted.start_s is not None:
        changed = replace(changed, start_s=wanted.start_s)
    if wanted.end_s is not None:
        changed = replace(changed, end_s=wanted.end_s)
    if wanted.channel is not None:
        changed = replace(changed, channel=PARTIES[wanted.channel])
    return changed
