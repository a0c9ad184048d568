"""JSON shapes and URL paths that server and client share. Source: contract.md section 6."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict
from urllib.parse import urlsplit

API = "/api/v1"
CALLS_PATH = f"{API}/calls"
CHANGES_PATH = f"{API}/changes"
SIGNALS_PATH = f"{API}/signals"
ONGOING_PATH = f"{API}/calls-in-progress"
OPENAPI_PATH = f"{API}/openapi.json"
ECHO_PATH = "/v"
"""Where Echo serves; a token follows."""
VOICE_PATH = "/voice"
"""Where a token is asked for the old way; the extension of a format follows."""


def call_path(call_id: str) -> str:
    """One call."""
    return f"{CALLS_PATH}/{call_id}"


def tokens_path(recording_id: str) -> str:
    """Where a token of a recording is asked for."""
    return f"{API}/recordings/{recording_id}/tokens"


def tickets_path(recording_id: str) -> str:
    """Where a link to a recording is asked for, for somebody else to open."""
    return f"{API}/recordings/{recording_id}/tickets"


def peaks_path(recording_id: str) -> str:
    """What the waveform of a recording is drawn from."""
    return f"{API}/recordings/{recording_id}/peaks"


def settle_path(signal_id: str) -> str:
    """Where a signal is settled."""
    return f"{SIGNALS_PATH}/{signal_id}/settle"


def spans_path(recording_id: str) -> str:
    """The spans of a recording."""
    return f"{API}/recordings/{recording_id}/spans"


def span_path(recording_id: str, span_id: str) -> str:
    """One span of a recording."""
    return f"{spans_path(recording_id)}/{span_id}"


class SpanItem(TypedDict):
    """A masked stretch, [start_s, end_s) in seconds; channel is left, right, or null for both."""

    start_s: float
    end_s: float
    channel: str | None


CallItem = TypedDict(
    "CallItem",
    {
        "id": str,
        "recording_id": str | None,
        "datasource": str,
        "voicelocation": str | None,
        "voicefilename": str | None,
        "started_at": str,
        "duration_s": float,
        "direction": str,
        "from": str,
        "to": str,
        "extension": str | None,
        "channel": str | None,
        "masked_spans": list[SpanItem],
    },
)
"""One call. Source: contract.md 6.2."""


class CallPageBody(TypedDict):
    """Answer of the list of calls."""

    items: list[CallItem]
    next: str | None


class TokenBody(TypedDict):
    """Answer to a request for a token. Source: contract.md 6.3."""

    url: str
    expires_at: str
    content_type: str
    duration_s: float
    size_bytes: int | None
    masked_spans: list[SpanItem]
    mask_revision: int


class TicketBody(TypedDict):
    """Answer to a request for a link. Source: contract.md, section 7."""

    url: str
    expires_at: str


class MatchItem(TypedDict):
    """A call that a signal is about; recording_id is null where nothing was recorded."""

    call_id: str
    recording_id: str | None


OngoingItem = TypedDict(
    "OngoingItem",
    {
        "datasource": str,
        "id": str,
        "state": str,
        "direction": str,
        "from": str,
        "to": str,
        "caller_name": str,
        "extension": str | None,
        "agent": str | None,
        "started_at": str,
        "answered_at": str | None,
    },
)
"""A call in progress; state is ringing, talking or held. It has no recording and no sound yet."""


class ToldBody(TypedDict):
    """Answer to news of a leg; it is on the disk."""

    unique_id: str
    state: str


class OngoingBody(TypedDict):
    """Calls in progress, newest first."""

    items: list[OngoingItem]


class SignalBody(TypedDict):
    """Answer to a signal; state is bound, or held until its call comes."""

    signals: list[str]
    at: str
    state: str
    matched: list[MatchItem]


class SignalItem(TypedDict):
    """One signal; state is paired, unpaired, repeated or orphan."""

    id: str
    at: str
    received_at: str
    mute: str
    objtype: str
    objid: str
    call_id: str | None
    source: str
    state: str
    recording_ids: list[str]
    settled: str | None
    settled_by: str | None
    settled_reason: str | None


class SignalPageBody(TypedDict):
    """Answer of the list of signals."""

    items: list[SignalItem]
    next: str | None


class StoredSpanItem(TypedDict):
    """One span with its cause; end_s is null to the end, state active, proposed or removed."""

    id: str
    start_s: float
    end_s: float | None
    channel: str | None
    source: str
    state: str
    reason: str | None
    actor: str | None
    created_at: str
    changed_at: str | None
    changed_by: str | None
    change_reason: str | None
    signal_on: str | None
    signal_off: str | None


class RecordingSpansBody(TypedDict):
    """What is masked in a recording, and why; changed is the span that was just written."""

    recording_id: str
    mask_revision: int
    masked_spans: list[SpanItem]
    spans: list[StoredSpanItem]
    changed: str | None


class PeaksItem(TypedDict):
    """The peaks of one channel, -128 to 127; channel is left, right, or null where there is one."""

    channel: str | None
    min: list[int]
    max: list[int]


class PeaksBody(TypedDict):
    """The peaks of [from_s, to_s), a point for each frames_per_point frames, of masked sound."""

    recording_id: str
    mask_revision: int
    duration_s: float
    rate_hz: int
    frames: int
    channels: int
    from_s: float
    to_s: float
    frames_per_point: int
    peaks: list[PeaksItem]
    masked_spans: list[SpanItem]


class ChangeItem(TypedDict):
    """One entry of the feed of changes."""

    kind: str
    at: str
    call_id: str | None
    recording_id: str | None


class ChangePageBody(TypedDict):
    """Answer of the feed of changes; ``next`` is never null: it goes on with what comes later."""

    items: list[ChangeItem]
    next: str


def iso_instant(unix_millis: int) -> str:
    """ISO 8601 in UTC with milliseconds, ``2026-09-21T14:13:20.500+00:00``."""
    seconds, millis = divmod(unix_millis, 1000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=millis * 1000)
    return moment.isoformat(timespec="milliseconds")


def is_plain_origin(url: str) -> bool:
    """Whether ``url`` is http or https with a host, and holds no user, query or fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and not (parts.username or parts.password or parts.query or parts.fragment)
        and not any(c.isspace() for c in url)
    )
