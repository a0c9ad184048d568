"""The OpenAPI document, built from the tables that the server itself reads."""

from __future__ import annotations

import functools
from typing import get_type_hints

from callreel import __version__
from callreel.audio.formats import FORMATS
from callreel.db.ongoing import LegState
from callreel.flows.ticket import MOST_LABEL_CHARS, MOST_USES
from callreel.model import Direction, OutputChannels
from callreel.web import parameters
from callreel.web.ongoing import MEMBERS
from callreel.web.problems import STATUS
from callreel.wire import (
    API,
    CALLS_PATH,
    CHANGES_PATH,
    ONGOING_PATH,
    SIGNALS_PATH,
    CallItem,
    CallPageBody,
    ChangeItem,
    ChangePageBody,
    MatchItem,
    OngoingBody,
    OngoingItem,
    PeaksBody,
    PeaksItem,
    RecordingSpansBody,
    SignalBody,
    SignalItem,
    SignalPageBody,
    SpanItem,
    StoredSpanItem,
    TicketBody,
    TokenBody,
    ToldBody,
    call_path,
    peaks_path,
    settle_path,
    span_path,
    spans_path,
    tickets_path,
    tokens_path,
)

_SHAPES = (
    SpanItem,
    CallItem,
    CallPageBody,
    TokenBody,
    TicketBody,
    ChangeItem,
    ChangePageBody,
    MatchItem,
    OngoingItem,
    OngoingBody,
    ToldBody,
    SignalBody,
    SignalItem,
    SignalPageBody,
    StoredSpanItem,
    RecordingSpansBody,
    PeaksItem,
    PeaksBody,
)
_PLAIN: dict[object, dict[str, object]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str | None: {"type": ["string", "null"]},
    int | None: {"type": ["integer", "null"]},
    float | None: {"type": ["number", "null"]},
    list[str]: {"type": "array", "items": {"type": "string"}},
    list[int]: {"type": "array", "items": {"type": "integer"}},
}


def _schema(kind: object) -> dict[str, object]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    for shape in _SHAPES:
        if kind == list[shape]:  # type: ignore[valid-type]  # compared, not used as a type
            return {"type": "array", "items": _ref(shape)}
    raise AssertionError(f"no schema for {kind}")


def _ref(shape: type) -> dict[str, object]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _object(shape: type) -> dict[str, object]:
    hints = get_type_hints(shape)
    return {
        "type": "object",
        "description": (shape.__doc__ or "").partition("\n")[0],
        "required": list(hints),
        "properties": {name: _schema(kind) for name, kind in hints.items()},
    }


def _operation(  # noqa: PLR0913  # one for each part of an operation
    summary: str,
    answer: type,
    *,
    query: tuple[parameters.Parameter, ...] = (),
    path: tuple[str, ...] = (),
    also: dict[str, object] | None = None,
    body: dict[str, object] | None = None,
    other_kinds: tuple[str, ...] = (),
    status: str = "200",
) -> dict[str, object]:
    given: list[dict[str, object]] = [
        {
            "name": parameter.name,
            "in": "query",
            "description": parameter.meaning,
            "schema": dict(parameter.schema),
        }
        for parameter in query
    ]
    given += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in path
    ]
    content: dict[str, object] = {"application/json": {"schema": _ref(answer)}}
    content |= {kind: {"schema": {"type": "string"}} for kind in other_kinds}
    operation: dict[str, object] = {
        "summary": summary,
        "parameters": given,
        "responses": {
            status: {"description": "Done.", "content": content},
            **(also or {}),
            "default": {
                "description": "A problem document; code tells which.",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }
    if body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


_TEXT: dict[str, object] = {"type": "string", "minLength": 1}
_INSTANT: dict[str, object] = {"type": "string", "format": "date-time"}
_SECONDS: dict[str, object] = {"type": "number", "minimum": 0}
_END: dict[str, object] = {"type": ["number", "null"]}
_CHANNEL: dict[str, object] = {"enum": ["both", "left", "right", None], "default": "both"}


def _members(required: tuple[str, ...], **properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


_OF_LEGS: dict[str, dict[str, object]] = {
    "state": {"type": "string", "enum": list(LegState)},
    "direction": {"type": "string", "enum": list(Direction)},
    "at": _INSTANT,
}


def _ongoing_paths() -> dict[str, object]:
    return {
        ONGOING_PATH: {
            "get": _operation(
                "Calls in progress within your sight, newest first.",
                OngoingBody,
                query=parameters.ONGOING,
            ),
            "post": _operation(
                "Tell of one leg of a call in progress; a member that is left out changes nothing.",
                ToldBody,
                body=_members(
                    ("datasource", "unique_id", "state"),
                    **(dict.fromkeys(MEMBERS, _TEXT) | _OF_LEGS),
                ),
            ),
        }
    }


def _masking_paths() -> dict[str, object]:
    return {
        SIGNALS_PATH: {
            "get": _operation(
                "Signals within your review, newest first.",
                SignalPageBody,
                query=parameters.SIGNALS,
            ),
            "post": _operation(
                "Mute on or off; stored on disk before the answer. Takes Idempotency-Key.",
                SignalBody,
                body=_members(
                    ("mute",),
                    mute={"type": "string", "enum": ["on", "off"]},
                    objtype={"type": "string", "enum": ["user", "channel"]},
                    objid=_TEXT,
                    key=_TEXT,
                    call_id=_TEXT,
                    at=_INSTANT,
                    sent_at=_INSTANT,
                ),
            ),
        },
        settle_path("{signal_id}"): {
            "post": _operation(
                "Decide about a signal that has no partner or belongs to no call.",
                SignalItem,
                path=("signal_id",),
                body=_members(
                    ("settle", "reason"),
                    settle={"type": "string", "enum": ["accepted", "completed", "dismissed"]},
                    reason=_TEXT,
                    counterpart_at=_INSTANT,
                ),
            )
        },
        spans_path("{recording_id}"): {
            "get": _operation(
                "What is masked in a recording, and why.",
                RecordingSpansBody,
                path=("recording_id",),
            ),
            "post": _operation(
                "Mask a stretch.",
                RecordingSpansBody,
                path=("recording_id",),
                status="201",
                body=_members(
                    ("start_s", "end_s", "reason"),
                    start_s=_SECONDS,
                    end_s=_END,
                    channel=_CHANNEL,
                    reason=_TEXT,
                ),
            ),
        },
        span_path("{recording_id}", "{span_id}"): {
            "patch": _operation(
                "Move a span, or confirm a proposed one. Masking less needs a right of its own.",
                RecordingSpansBody,
                path=("recording_id", "span_id"),
                body=_members(
                    ("reason",),
                    start_s=_SECONDS,
                    end_s=_END,
                    channel=_CHANNEL,
                    state={"type": "string", "enum": ["active"]},
                    reason=_TEXT,
                ),
            ),
            "delete": _operation(
                "Take a span away, or dismiss a proposed one; it stays in the history.",
                RecordingSpansBody,
                path=("recording_id", "span_id"),
                body=_members(("reason",), reason=_TEXT),
            ),
        },
    }


@functools.cache
def document() -> dict[str, object]:
    """The document, OpenAPI 3.1."""
    token_request = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "format": {"type": "string", "enum": list(FORMATS), "default": "wav"},
            "channel": {"type": "string", "enum": list(OutputChannels), "default": "both"},
            "single_use": {"type": "boolean", "default": False},
        },
    }
    problem_shape = {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {
                "type": "integer",
                "enum": sorted({status for _, status, _ in STATUS} | {500}),
            },
            "detail": {"type": "string"},
            "code": {"type": "string"},
        },
    }
    schemas = {shape.__name__: _object(shape) for shape in _SHAPES}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Callreel",
            "version": __version__,
            "description": "Find and fetch recordings of telephone calls. "
            "Unknown parameters are a 400.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"basic": []}, {"apiKey": []}],
        "paths": {
            CALLS_PATH: {
                "get": _operation(
                    "Calls within your reach, newest first; also as CSV and XML.",
                    CallPageBody,
                    query=parameters.CALLS,
                    other_kinds=("text/csv", "application/xml"),
                )
            },
            call_path("{call_id}"): {"get": _operation("One call.", CallItem, path=("call_id",))},
            tokens_path("{recording_id}"): {
                "post": _operation(
                    "A URL that fetches a recording, good for 60 seconds.",
                    TokenBody,
                    path=("recording_id",),
                    body=token_request,
                    also={
                        "202": {
                            "description": "With Prefer: respond-async: it is being rendered; "
                            "ask again after Retry-After."
                        }
                    },
                )
            },
            tickets_path("{recording_id}"): {
                "post": _operation(
                    "A link for somebody else to open within 60 seconds: a player.",
                    TicketBody,
                    path=("recording_id",),
                    body=_members(
                        ("label",),
                        label={"type": "string", "minLength": 1, "maxLength": MOST_LABEL_CHARS},
                        uses={"type": "integer", "minimum": 1, "maximum": MOST_USES, "default": 1},
                        download={"type": "boolean", "default": False},
                    ),
                )
            },
            peaks_path("{recording_id}"): {
                "get": _operation(
                    "What the waveform of a recording is drawn from, of masked sound.",
                    PeaksBody,
                    path=("recording_id",),
                    query=parameters.PEAKS,
                    also={
                        "304": {"description": "You have the peaks of this mask revision."},
                        "412": {"description": "The mask is not of the revision of If-Match."},
                    },
                )
            },
            **_ongoing_paths(),
            **_masking_paths(),
            CHANGES_PATH: {
                "get": _operation(
                    "New and changed calls, recordings and masks, in order, missing none.",
                    ChangePageBody,
                    query=parameters.CHANGES,
                )
            },
        },
        "components": {
            "schemas": {**schemas, "Problem": problem_shape},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "apiKey": {"type": "http", "scheme": "bearer"},
            },
        },
        "servers": [{"url": "/", "description": f"This server; the API is below {API}."}],
    }
