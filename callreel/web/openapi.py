"""The OpenAPI document, built from the tables that the server itself reads."""

from __future__ import annotations

import functools
from typing import get_type_hints

from callreel import __version__
from callreel.audio.formats import FORMATS
from callreel.model import OutputChannels
from callreel.web import parameters
from callreel.web.problems import STATUS
from callreel.wire import (
    API,
    CALLS_PATH,
    CHANGES_PATH,
    CallItem,
    CallPageBody,
    ChangeItem,
    ChangePageBody,
    SpanItem,
    TokenBody,
    call_path,
    tokens_path,
)

_SHAPES = (SpanItem, CallItem, CallPageBody, TokenBody, ChangeItem, ChangePageBody)
_PLAIN: dict[object, dict[str, object]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str | None: {"type": ["string", "null"]},
    int | None: {"type": ["integer", "null"]},
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


def _operation(
    summary: str,
    answer: type,
    *,
    query: tuple[parameters.Parameter, ...] = (),
    path: str | None = None,
    also: dict[str, object] | None = None,
    body: dict[str, object] | None = None,
    other_kinds: tuple[str, ...] = (),
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
    if path is not None:
        given.append({"name": path, "in": "path", "required": True, "schema": {"type": "string"}})
    content: dict[str, object] = {"application/json": {"schema": _ref(answer)}}
    content |= {kind: {"schema": {"type": "string"}} for kind in other_kinds}
    operation: dict[str, object] = {
        "summary": summary,
        "parameters": given,
        "responses": {
            "200": {"description": "Done.", "content": content},
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
            call_path("{call_id}"): {"get": _operation("One call.", CallItem, path="call_id")},
            tokens_path("{recording_id}"): {
                "post": _operation(
                    "A URL that fetches a recording, good for 60 seconds.",
                    TokenBody,
                    path="recording_id",
                    body=token_request,
                    also={
                        "202": {
                            "description": "With Prefer: respond-async: it is being rendered; "
                            "ask again after Retry-After."
                        }
                    },
                )
            },
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
