"""JSON shapes and URL paths that server and client share. Source: contract.md section 6."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

API = "/api/v1"
CALLS_PATH = f"{API}/calls"
CHANGES_PATH = f"{API}/changes"
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
